"""How two rule sets differ over the same alerts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from msgspec import structs

from engine.core.alert import Alert
from engine.core.replayed import (
    Closing,
    Replayed,
    ReplayedIncident,
    ReplayedRun,
    RuleDifference,
    compared,
)
from tests.doubles.declarations import AT, firing

MINUTE = timedelta(minutes=1)


def incident(rule: str = "down", minute: float = 0, **changes: Any) -> ReplayedIncident:
    made = ReplayedIncident(
        number=1,
        rule_id=rule,
        group={"service": "a"},
        severity="P1",
        mode="approve",
        service="a",
        title="Down on a",
        status="resolved",
        opened_at=AT + minute * MINUTE,
        resolved_at=None,
        ended_at=AT + (minute + 5) * MINUTE,
        alerts=1,
        notify=("team",),
        run=ReplayedRun("restart", "approve", "rule down"),
    )
    return replace(made, **changes)


def replayed(*incidents: ReplayedIncident) -> Replayed:
    return Replayed("v", AT, AT + 60 * MINUTE, incidents=incidents)


def difference(
    before: list[ReplayedIncident], after: list[ReplayedIncident]
) -> RuleDifference | None:
    found = compared(replayed(*before), replayed(*after))
    assert len(found) <= 1
    return found[0] if found else None


def test_the_same_incident_is_no_difference_though_it_opens_later() -> None:
    assert difference([incident()], [incident(minute=4)]) is None


def test_incidents_that_never_were_open_together_are_two() -> None:
    found = difference([incident()], [incident(minute=6)])
    assert found is not None
    assert ([each.opened_at for each in found.lost], len(found.gained)) == ([AT], 1)


def test_one_that_stays_open_meets_what_comes_later() -> None:
    assert difference([incident(ended_at=None)], [incident(minute=30)]) is None


def test_another_group_is_another_incident() -> None:
    found = difference([incident()], [incident(group={"service": "b"})])
    assert found is not None
    assert (len(found.lost), len(found.gained), found.changed) == (1, 1, [])


def test_what_changed_is_told_by_word() -> None:
    after = incident(severity="P3", mode="suggest", run=None)
    found = difference([incident()], [after])
    assert found is not None
    (changed,) = found.changed
    assert changed.differences == {
        "severity": ("P1", "P3"),
        "mode": ("approve", "suggest"),
        "run": ("restart (approve)", "none"),
        "page": ("yes", "no"),
    }


def test_two_incidents_meet_one_each() -> None:
    found = difference([incident()], [incident(minute=1), incident(minute=2)])
    assert found is not None
    assert (found.before, found.after, len(found.gained), found.lost) == (1, 2, 1, [])


def test_who_is_woken() -> None:
    assert incident().pages
    assert incident(severity="P2").pages
    assert not incident(severity="P3").pages
    assert not incident(notify=()).pages
    assert not incident(mode="observe").pages


def test_a_closing_gives_an_end_to_what_has_none() -> None:
    model = Closing(after=10 * MINUTE)
    alert = firing("Down")
    assert model.applied(alert).expires_at == AT + 10 * MINUTE
    own = structs.replace(alert, expires_at=AT + MINUTE)
    over: Alert = structs.replace(alert, status="resolved", ends_at=AT)
    for unchanged in (own, over):
        assert model.applied(unchanged) is unchanged
    assert Closing().applied(alert) is alert
