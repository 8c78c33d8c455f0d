"""The one spelling of a reference, and what is none."""

import pytest

from engine.core.secret_references import name_in, reference_to


def test_a_reference_leads_back_to_its_name() -> None:
    assert reference_to("balancer-token") == "${secret:balancer-token}"
    assert name_in("${secret:balancer-token}") == "balancer-token"


@pytest.mark.parametrize(
    "text",
    ["balancer", "a ${secret:b}", "${secret:b} ", "${secret:b", "${secret:B}", "${env:B}", ""],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert name_in(text) == text
