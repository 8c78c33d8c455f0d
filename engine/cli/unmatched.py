"""What no rule took: the alerts of catch-all rules' incidents, and the verb that drafts a rule."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from engine.cli.options import DATA
from engine.cli.story import event_of, told_alerts, whole
from engine.core import events
from engine.core.rule import NO_OTHER_RULE
from engine.ports.api import IncidentAnswer, IncidentStory


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Alerts of one name that no rule took, "" for those without one.

    `incident` is the newest that tells of one, `command` drafts a rule from it; "" where none can.
    """

    name: str
    alerts: int
    newest_at: datetime
    services: tuple[str, ...]
    incident: str
    command: str


def unmatched(
    incidents: Iterable[IncidentAnswer], story: Callable[..., IncidentStory], data: Path
) -> tuple[Sequence[Unmatched], int]:
    """By name, newest first, and how many more alerts the journal tells no name of.

    `incidents` are newest first; what a rule is, its newest one tells.
    """
    found: dict[str, Unmatched] = {}
    others: set[str] = set()
    untold = 0
    for incident in incidents:
        if incident.rule_id in others:
            continue
        opened = _opened(story(incident.id))
        if opened is not None and NO_OTHER_RULE not in opened.reasons:
            others.add(incident.rule_id)
        if opened is None or incident.rule_id in others:
            continue
        told, more = told_alerts(whole(story, incident.id))
        untold += more
        is_alone = len({each.name for each in told}) == 1
        for alert in told:
            one = Unmatched(
                name=alert.name,
                alerts=1,
                newest_at=alert.at,
                services=(incident.service,) if incident.service else (),
                incident=incident.name,
                command=_command(incident.name, "" if is_alone else alert.name, data)
                if alert.name
                else "",
            )
            known = found.get(alert.name)
            found[alert.name] = one if known is None else _together(known, one)
    return sorted(found.values(), key=lambda each: each.newest_at, reverse=True), untold


def _opened(story: IncidentStory) -> events.IncidentOpened | None:
    """What its first entry says; None where that was erased."""
    first = event_of(story.timeline[0]) if story.timeline else None
    return first if isinstance(first, events.IncidentOpened) else None


def _command(incident: str, name: str, data: Path) -> str:
    chosen = ["--alert", name] if name else []
    folder = ["--data", str(data)] if data != DATA else []
    return shlex.join(["quell", "new", "rule", "--from", incident, *chosen, *folder])


def _together(one: Unmatched, other: Unmatched) -> Unmatched:
    newest = max(one, other, key=lambda each: each.newest_at)
    services = tuple(dict.fromkeys((*one.services, *other.services)))
    return replace(newest, alerts=one.alerts + other.alerts, services=services)
