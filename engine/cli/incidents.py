"""`quell incidents`: what there is, and the whole story of one."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

import typer

from engine.cli.options import DATA, Data, Json, stands_alone
from engine.cli.output import (
    PHASE_STYLES,
    SEVERITY_STYLES,
    STATUS_STYLES,
    Column,
    ago,
    current_time,
    print_indented,
    print_json,
    print_table,
    say,
)
from engine.cli.site import reach, tell_if_stopped
from engine.cli.stop import tell_stops
from engine.cli.story import tell_entries, whole
from engine.cli.unmatched import Unmatched
from engine.cli.unmatched import unmatched as taken_by_none
from engine.ports.api import IncidentAnswer, IncidentPage, IncidentStory

verbs = typer.Typer(help="List what there is, show one whole.", invoke_without_command=True)

COLUMNS = (
    Column("incident"),
    Column("sev", styles=SEVERITY_STYLES),
    Column("status", styles=STATUS_STYLES),
    Column("phase", styles=PHASE_STYLES),
    Column("age", right=True),
    Column("service", narrowest=10),
    Column("rule", narrowest=14, optional=True),
    Column("title", narrowest=20),
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="incidents")


TakenByNone = Annotated[
    bool, typer.Option("--unmatched", help="What no rule took, and how to begin a rule for it.")
]


@verbs.callback()
def _default(
    context: typer.Context, data: Data = DATA, json: Json = False, unmatched: TakenByNone = False
) -> int:
    """List them when no verb follows."""
    if not stands_alone(context, data, json=json or unmatched):
        return 0
    return listing(data=data, json=json, unmatched=unmatched)


@verbs.command("list")
def listing(  # noqa: PLR0913 - one argument an option
    data: Data = DATA,
    json: Json = False,
    status: Annotated[
        Literal["open", "resolved", "closed"] | None, typer.Option("--status", help="Only these.")
    ] = None,
    severity: Annotated[
        Literal["P1", "P2", "P3", "P4"] | None, typer.Option("--severity", help="Only these.")
    ] = None,
    service: Annotated[
        str, typer.Option("--service", metavar="NAME", help="Only of this one.")
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")
    ] = 50,
    unmatched: TakenByNone = False,
) -> int:
    """List incidents, newest first.

    With --unmatched, the alerts of those that only a rule for everything took, by their name, and
    for each the command that begins a rule for it.
    """
    with reach(data) as site:
        page = site.incidents(
            status=status or "", severity=severity or "", service=service, limit=limit
        )
        if unmatched:
            found, untold = taken_by_none(page.incidents, site.incident, data)
            _tell_unmatched(found, untold, json=json)
            _tell_rest(page, limit, json=json)
            return 0
        stops = site.stops()
    if json:
        print_json(page)
        return 0
    tell_if_stopped(site, data)
    tell_stops(stops)
    if not page.incidents:
        say("no incidents")
        return 0
    now = current_time()
    print_table(COLUMNS, (_row(incident, now) for incident in page.incidents))
    _tell_rest(page, limit)
    return 0


def _tell_rest(page: IncidentPage, limit: int, *, json: bool = False) -> None:
    if page.next_cursor and not json:
        say(f"the newest {limit}; there are more: `quell incidents list --limit N`", style="dim")


def _tell_unmatched(found: Sequence[Unmatched], untold: int, *, json: bool) -> None:
    if json:
        print_json({"unmatched": [asdict(each) for each in found], "untold": untold})
        return
    if not found:
        say("a rule took every alert of these incidents")
    now = current_time()
    for each in found:
        say(each.name or "an alert without a name", style="bold")
        times = "once" if each.alerts == 1 else f"{each.alerts} times"
        places = f", {', '.join(each.services)}" if each.services else ""
        say(f"  {times}, {ago(each.newest_at, now)} ago in {each.incident}{places}")
        say(f"  {each.command or 'no rule can tell it from others: give it a name'}")
    if untold:
        say(f"and {untold} more of a storm, whose names the journal doesn't keep", style="dim")


def _row(incident: IncidentAnswer, now: datetime) -> tuple[str, ...]:
    return (
        incident.name,
        incident.severity,
        incident.status,
        incident.phase.replace("_", " "),
        ago(incident.opened_at, now),
        incident.service,
        incident.rule_id,
        incident.title,
    )


@verbs.command("show")
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="INC-12, or any unique prefix.")],
    data: Data = DATA,
    json: Json = False,
    full: Annotated[bool, typer.Option("--full", help="Command output without a limit.")] = False,
) -> int:
    """Show one incident with its timeline and plan."""
    with reach(data) as site:
        story = whole(site.incident, id_)
    if json:
        print_json(story)
        return 0
    tell_if_stopped(site, data)
    _tell_facts(story)
    say("")
    tell_entries(story.timeline, full=full)
    if story.phase == "awaiting_approval":
        say("")
        say(f"decide: quell approve {story.name}, or quell reject {story.name}", style="bold")
    return 0


def _tell_facts(story: IncidentStory) -> None:
    heads = (story.name, story.severity, story.status)
    print_indented(heads, story.title, style=SEVERITY_STYLES.get(story.severity, ""))
    facts = (
        ("id", story.id),
        ("service", story.service),
        ("environment", story.environment),
        ("team", story.team),
        ("rule", story.rule_id),
        ("phase", story.phase.replace("_", " ")),
        ("run", f"{story.run_id} {story.outcome.replace('_', ' ')}".strip()),
        ("acknowledged", _after(story, story.acknowledged_at)),
        ("mitigated", _after(story, story.mitigated_at)),
        ("resolved", _after(story, story.resolved_at)),
        ("ticket", story.ticket_url or story.ticket),
        ("postmortem", story.postmortem),
        *(("left to do", what) for what in story.follow_ups.values()),
    )
    for name, value in facts:
        if value:
            say(f"  {name:<12}  {value}")


def _after(story: IncidentStory, at: datetime | None) -> str:
    took = ago(story.opened_at, at) if at is not None else ""
    return f"after {took}" if took else ""
