"""Each has its own bucket, which fills with time, and all of them fit into a table."""

import pytest

from engine.gateway.rates import Rates


def test_a_burst_is_taken_at_once_and_then_so_many_a_second() -> None:
    rates = Rates(per_s=10, burst=3)
    assert [rates.wait_s("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.1)]
    assert rates.wait_s("a", 0.05) == pytest.approx(0.05)
    assert rates.wait_s("a", 0.1) == 0.0
    assert rates.wait_s("a", 0.1) > 0.0
    taken = sum(rates.wait_s("a", 1.0 + n / 1000) == 0.0 for n in range(1000))
    assert taken == 3 + 9, "full again after a second, and then ten a second"


def test_one_that_sends_too_much_costs_no_other_its_turn() -> None:
    rates = Rates(per_s=1, burst=1)
    assert rates.wait_s("a", 0.0) == 0.0
    assert rates.wait_s("a", 0.0) == pytest.approx(1.0)
    assert rates.wait_s(("a", "b"), 0.0) == 0.0


def test_of_too_many_the_one_that_is_silent_longest_is_forgotten() -> None:
    rates = Rates(per_s=1, burst=1, max_kept=2)
    for key in ("a", "b", "a", "c"):
        rates.wait_s(key, 0.0)
    assert rates.wait_s("a", 0.0) > 0.0
    assert rates.wait_s("c", 0.0) > 0.0
    assert rates.wait_s("b", 0.0) == 0.0


def test_a_caller_that_goes_on_asking_is_still_let_in_at_its_rate() -> None:
    rates = Rates(per_s=10, burst=1)
    taken = sum(rates.wait_s("a", n / 1000) == 0.0 for n in range(10_000))
    assert taken == pytest.approx(100, abs=2)
