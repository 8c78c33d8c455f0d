import pytest

from engine.core.actions import Call, Effect, Prepared, Repeat


@pytest.mark.parametrize(("timeout_s", "bound_s"), [(60.0, 59.0), (10.0, 9.0), (0.5, 0.45)])
def test_an_actions_own_bound_comes_before_the_attempts(timeout_s: float, bound_s: float) -> None:
    prepared = Prepared(Effect.READ, Repeat.HARMLESS, "", (), "", {})
    assert Call(prepared, "attempt", timeout_s).bound_s == pytest.approx(bound_s)
