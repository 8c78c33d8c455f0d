"""How an incident's journal looks on the terminal, whole or as it grows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from engine.cli.output import print_indented, say, visible
from engine.cli.plan_lines import described, print_lines
from engine.core import events
from engine.core.plan import Plan
from engine.core.timeline import Narrator
from engine.ports.api import IncidentStory, TimelineEntry

DETAIL_LINES = 20
DETAIL_INDENT = " " * 10


def whole(incident: Callable[..., IncidentStory], prefix: str) -> IncidentStory:
    """With all pages of its timeline, as the incident is on the last one."""
    story = incident(prefix)
    timeline = list(story.timeline)
    while story.next_cursor:
        story = incident(story.id, cursor=story.next_cursor)
        timeline += story.timeline
    return story.model_copy(update={"timeline": tuple(timeline)})


def tell_entries(entries: Sequence[TimelineEntry], *, full: bool = False) -> None:
    """Each entry with who did it, and what it showed; times are UTC, each day has its heading.

    Output of commands ends after DETAIL_LINES unless `full`; a plan is never cut. What may still be
    at work stands at the end.
    """
    day, narrator = "", Narrator()
    width = actor_width(entries)
    for entry in entries:
        if day != (day := f"{entry.at:%Y-%m-%d} (UTC)"):
            say(day, style="dim")
        tell_entry(entry, width, narrator, full=full)
    for step_id, bound in narrator.under_way.values():
        say(f"{step_id} may be under way until {bound:%H:%M:%S} UTC", style="dim")


def actor_width(entries: Sequence[TimelineEntry]) -> int:
    """What the longest name of an actor needs."""
    return max((len(visible(each.actor)) for each in entries), default=0)


def tell_entry(entry: TimelineEntry, width: int, narrator: Narrator, *, full: bool = False) -> None:
    """One entry, behind those that `narrator` told; `width` is that of the column of actors."""
    event = event_of(entry)
    text, detail, style = entry.kind, "", ""
    if event is not None:
        text, detail = narrator.tells(event, entry.actor, entry.at)
        style = _style(event)
    actor = visible(entry.actor)
    print_indented((f"{entry.at:%H:%M:%S}", f"{actor:<{width}}"), text, style=style)
    if isinstance(event, events.RunPlanned):
        print_lines(described(Plan.model_validate_json(event.plan), event.holes), DETAIL_INDENT)
        return
    lines = detail.rstrip("\n").splitlines()
    for line in lines if full else lines[:DETAIL_LINES]:
        say(DETAIL_INDENT + line, style="dim")
    if not full and len(lines) > DETAIL_LINES:
        say(f"{DETAIL_INDENT}… {len(lines) - DETAIL_LINES} more lines: --full", style="dim")


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """An alert as the timeline tells of it, and when it joined."""

    at: datetime
    name: str
    source: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def told_alerts(story: IncidentStory) -> tuple[Sequence[ToldAlert], int]:
    """The alerts that a whole timeline tells of, oldest first, and how many more there were.

    An entry of a storm tells only of its first few.
    """
    told: list[ToldAlert] = []
    untold = 0
    for entry in story.timeline:
        event = event_of(entry)
        if isinstance(event, events.OccurrenceJoined):
            told += [_ALERT.validate_python({**each, "at": entry.at}) for each in event.alerts]
            untold += len(event.occurrence_ids) - len(event.alerts)
    return told, untold


_ALERT = TypeAdapter(ToldAlert)


def event_of(entry: TimelineEntry) -> events.Event | None:
    """What the entry says; None where it was erased, or is newer than this version."""
    model = events.EVENTS.get(entry.kind)
    if model is None or entry.body is None:
        return None
    try:
        return model.model_validate(dict(entry.body))
    except ValidationError:
        return None


def _style(event: events.Event) -> str:
    match event:
        case events.RunEnded(outcome="succeeded" | "not_needed" | "skipped"):
            return "bold green"
        case events.RunEnded() | events.AttemptEnded(outcome="failed" | "unknown"):
            return "bold red"
        case events.ApprovalRequested():
            return "bold yellow"
        case events.VerificationEnded(holds=True) | events.IncidentResolved():
            return "green"
        case _:
            return ""
