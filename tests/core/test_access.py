"""Who may decide and order, with a reason when not."""

import pytest

from engine.core.access import may_administer, may_decide, may_order


@pytest.mark.parametrize(
    ("actor", "roles", "ask", "allowed"),
    [
        pytest.param("slack:T1/U1", {"oncall"}, ("role:oncall",), True, id="has the role"),
        pytest.param("slack:T1/U2", set(), ("role:oncall",), False, id="has no role"),
        pytest.param("slack:T1/U2", {"dba"}, ("role:oncall",), False, id="has another role"),
        pytest.param("slack:T1/U3", set(), ("user:slack:T1/U3",), True, id="is named"),
        pytest.param("local:me", {"admin"}, ("role:oncall",), True, id="holds the token"),
    ],
)
def test_who_may_answer_a_request(
    actor: str, roles: set[str], ask: tuple[str, ...], allowed: bool
) -> None:
    verdict = may_decide(actor, roles, ask)
    assert verdict.allowed is allowed
    assert allowed or actor in verdict.reason


@pytest.mark.parametrize(
    ("roles", "allowed"), [({"admin"}, True), ({"oncall"}, True), (set(), False)]
)
def test_who_may_order(roles: set[str], allowed: bool) -> None:
    assert may_order("someone", roles).allowed is allowed


@pytest.mark.parametrize(
    ("roles", "allowed"), [({"admin"}, True), ({"oncall"}, False), (set(), False)]
)
def test_who_may_decide_what_is_lost(roles: set[str], allowed: bool) -> None:
    verdict = may_administer("someone", roles)
    assert verdict.allowed is allowed
    assert allowed or verdict.reason == "someone needs the role admin"
