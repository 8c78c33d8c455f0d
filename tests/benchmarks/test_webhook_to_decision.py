from benchmarks.open_occurrences import started_quell
from benchmarks.webhook_to_decision import (
    BODY_ALERTS,
    INCIDENTS,
    REPEATED,
    Figures,
    distinct,
    measured,
    repeats,
)


def test_both_kinds_are_measured_once_all_is_decided() -> None:
    with started_quell({}) as quell:
        first, second = measured("embedded", quell, 1.0)
        dispositions = quell.get("/v1/balance")["dispositions"]
    assert (first.alerts, second.alerts) == ("distinct", "repeats")
    assert dispositions["repeat"] == second.sent
    assert dispositions["unmatched"] == first.sent + REPEATED
    assert min(first.per_cpu_s, second.per_cpu_s) > 0


def test_distinct_alerts_never_come_again_and_repeats_are_those_that_fire() -> None:
    bodies = 3 * REPEATED // BODY_ALERTS
    new, again = distinct(), repeats()
    sent = [number for _ in range(bodies) for number in new()]
    repeated = {number for _ in range(bodies) for number in again()}
    assert len(set(sent)) == len(sent) == bodies * BODY_ALERTS
    assert repeated == set(range(REPEATED))
    assert not repeated & set(sent)
    assert {number % INCIDENTS for number in sent} == set(range(INCIDENTS))


def test_a_row_tells_the_share_of_the_goal() -> None:
    row = Figures("embedded", "distinct", 20_000, 4.0, 8.0, 1.5, 60.0).row()
    assert row.split()[2:] == ["20,000", "5,000", "0.50", "2,500", "1.5", "60.0"]
