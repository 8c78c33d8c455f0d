"""The lowest mode counts, and whoever named it is remembered."""

from hypothesis import given
from hypothesis import strategies as st

from engine.core.severity import Mode, ModeLimit, Severity, effective_mode

limits = st.lists(st.builds(ModeLimit, st.sampled_from(Mode), st.text(max_size=3)), min_size=1)


@given(limits)
def test_no_limit_is_ever_exceeded(given_limits: list[ModeLimit]) -> None:
    found = effective_mode(given_limits)
    assert found in given_limits
    assert all(found.mode.rank <= limit.mode.rank for limit in given_limits)


def test_the_first_of_equals_is_named() -> None:
    rule, policy = ModeLimit(Mode.APPROVE, "rule"), ModeLimit(Mode.APPROVE, "policy")
    assert effective_mode([ModeLimit(Mode.AUTO, "x"), rule, policy]) is rule


def test_the_order_of_modes_and_severities() -> None:
    assert [mode.value for mode in sorted(Mode, key=lambda mode: mode.rank)] == [
        "observe",
        "suggest",
        "approve",
        "auto",
    ]
    assert min(Severity) is Severity.P1
