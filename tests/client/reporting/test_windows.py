"""A window's sums are exact over its slots, bounded in size, and what is old leaves it."""

from hypothesis import given
from hypothesis import strategies as st

from engine.client.reporting.windows import OTHER_ERRORS, SLOTS, Window

LENGTH_S = 120.0


def test_calls_failures_and_error_classes_are_counted() -> None:
    window = Window(LENGTH_S, 10.0)
    window.add(0.0, latency_s=1.0)
    window.add(1.0, error="RateLimitError", latency_s=0.01)
    window.add(2.0, error="RateLimitError")
    window.add(3.0, error="APITimeoutError", latency_s=60.0)
    counts = window.counts(4.0)
    assert (counts.calls, counts.failures, counts.timed, counts.slow) == (4, 3, 1, 0)
    assert counts.errors == {"RateLimitError": 2, "APITimeoutError": 1}


def test_a_call_is_slow_only_above_the_threshold() -> None:
    window = Window(LENGTH_S, 10.0)
    for latency_s in (9.9, 10.0, 10.1, 600.0):
        window.add(0.0, latency_s=latency_s)
    assert window.counts(0.0).slow == 2


def test_what_is_older_than_the_window_leaves_it() -> None:
    window = Window(LENGTH_S, 10.0)
    window.add(0.0, error="E")
    window.add(15.0, error="E")
    assert window.counts(119.0).calls == 2
    assert window.counts(121.0).calls == 1
    assert window.counts(1_000.0).calls == 0


def test_an_idle_time_longer_than_the_window_leaves_only_what_is_new() -> None:
    window = Window(LENGTH_S, 10.0)
    for at_s in range(0, 120, 10):
        window.add(float(at_s), latency_s=1.0)
    window.add(10_000.0, latency_s=1.0)
    assert window.counts(10_000.0).calls == 1


def test_many_error_classes_are_counted_as_others() -> None:
    window = Window(LENGTH_S, 10.0)
    for number in range(1_000):
        window.add(0.0, error=f"Error{number}")
    counts = window.counts(0.0)
    assert counts.failures == 1_000
    assert len(counts.errors) == 11
    assert counts.errors[OTHER_ERRORS] == 990


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200))
def test_the_95th_percentile_is_never_too_low_and_at_most_a_tenth_too_high(
    latencies: list[float],
) -> None:
    window = Window(LENGTH_S, 10.0)
    for latency_s in latencies:
        window.add(0.0, latency_s=latency_s)
    ordered = sorted(min(1e5, max(1e-3, each)) for each in latencies)
    exact = ordered[-(-len(ordered) * 95 // 100) - 1]
    told = window.counts(0.0).p95_latency_s
    assert exact * 0.999 <= told <= exact * 1.11


def test_odd_latencies_are_no_harm() -> None:
    window = Window(LENGTH_S, 10.0)
    for latency_s in (float("nan"), float("inf"), -1.0, 0.0):
        window.add(0.0, latency_s=latency_s)
    counts = window.counts(0.0)
    assert (counts.calls, counts.timed, counts.slow) == (4, 2, 1)


@given(st.lists(st.tuples(st.floats(0, 10_000), st.booleans()), max_size=300))
def test_a_window_holds_what_fell_into_its_slots(calls: list[tuple[float, bool]]) -> None:
    window = Window(LENGTH_S, 10.0)
    ordered = sorted(calls)
    for at_s, failed in ordered:
        window.add(at_s, error="E" if failed else "", latency_s=1.0)
    now_s = ordered[-1][0] if ordered else 0.0
    slot_s = LENGTH_S / SLOTS
    inside = [failed for at_s, failed in ordered if at_s // slot_s > now_s // slot_s - SLOTS]
    counts = window.counts(now_s)
    assert (counts.calls, counts.failures) == (len(inside), sum(inside))
