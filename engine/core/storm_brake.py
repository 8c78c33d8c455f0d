"""When so much fires at once that nothing may act by itself, until a person says that it may."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from engine.core.alert import Alert, fingerprint_of
from engine.core.conditions import GroupState, Mark, enough, marked
from engine.core.durations import format_duration
from engine.core.incident import Incident
from engine.core.progress import OWN_SOURCE
from engine.core.severity import Mode
from engine.core.switches import Switch

STORM_BRAKE = "storm-brake"
STORM_ALERT = "QuellStormBrake"
STORM_FINGERPRINT = fingerprint_of(OWN_SOURCE, {"alertname": STORM_ALERT})
NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class CheckedBrake:
    """It takes so many services, and so many of a hundred that there are, within a time."""

    percent: int
    services: int
    within: timedelta

    def at_least(self, known: int) -> int:
        """How many services it takes where the inventory has `known`: a share is rounded up."""
        return max(self.services, -(-known * self.percent // 100))


def struck(
    brake: CheckedBrake, state: GroupState, opened: Iterable[Incident], known: int
) -> GroupState:
    """The services on which an incident opened lately, with these; what quell says of itself isn't.

    `known` is how many services the inventory has.
    """
    marks = state.marks
    for incident in opened:
        if incident.service not in ("", OWN_SOURCE):
            marks = marked(marks, Mark(incident.service, incident.opened_at), brake.at_least(known))
    return replace(state, marks=marks)


def storm(brake: CheckedBrake, state: GroupState, services: Collection[str]) -> str:
    """What the storm is, "" while there is none; `services` are the inventory's."""
    at_least = brake.at_least(len(services))
    if not enough(state.marks, at_least, brake.within):
        return ""
    names = sorted(each.of for each in state.marks)
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    within = format_duration(brake.within)
    told = f"{', '.join(names[:NAMED_AT_MOST])}{more}"
    return f"incidents opened on {len(names)} services within {within}: {told}"


def asks_in_storm(switch: Switch | None, mode: Mode) -> str:
    """Why a run that would ask nobody has to, "" when it needn't."""
    if switch is None or mode is not Mode.AUTO:
        return ""
    return (
        f"the storm brake is on since {switch.at:%Y-%m-%d %H:%M:%S} UTC ({switch.reason}); "
        "`quell brake lift` lets `auto` act again"
    )


def storm_alert(switch: Switch, at: datetime) -> Alert:
    """quell's own alert that nothing acts by itself any more."""
    labels = {"alertname": STORM_ALERT, "service": OWN_SOURCE, "severity": "critical"}
    return Alert(
        fingerprint=STORM_FINGERPRINT,
        source=OWN_SOURCE,
        name=STORM_ALERT,
        status="firing",
        labels=labels,
        annotations={
            "summary": f"the storm brake is on: {switch.reason}",
            "description": "Rules in mode auto ask a person until `quell brake lift`",
        },
        starts_at=switch.at,
        ends_at=None,
        received_at=at,
        service=OWN_SOURCE,
        severity_hint="critical",
    )
