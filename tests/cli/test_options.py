"""Options that several verbs share."""

import pytest
import typer

from engine.cli.options import parse_parameters


def test_parameters_are_split_at_the_first_sign() -> None:
    assert parse_parameters(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert parse_parameters(None) == {}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param(["a"], "'a' isn't NAME=VALUE", id="no-sign"),
        pytest.param(["=1"], "'=1' isn't NAME=VALUE", id="no-name"),
        pytest.param(["a=1", "a=2"], "'a' is given twice", id="twice"),
    ],
)
def test_what_is_no_parameter_is_refused(given: list[str], problem: str) -> None:
    with pytest.raises(typer.BadParameter, match=problem):
        parse_parameters(given)
