"""`quell incidents`: what there is, and the whole story of one."""

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
    print_indented,
    print_json,
    print_table,
    say,
)
from engine.cli.site import reach
from engine.cli.stop import tell_stops
from engine.cli.story import tell_entries, whole
from engine.ports.api import IncidentAnswer, IncidentStory

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


@verbs.callback()
def _default(context: typer.Context, data: Data = DATA, json: Json = False) -> int:
    """List them when no verb follows."""
    return listing(data=data, json=json) if stands_alone(context, data, json=json) else 0


@verbs.command("list")
def listing(
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
) -> int:
    """List incidents, newest first."""
    with reach(data) as site:
        page = site.incidents(
            status=status or "", severity=severity or "", service=service, limit=limit
        )
        stops = site.stops()
    if json:
        print_json(page)
        return 0
    tell_stops(stops)
    if not page.incidents:
        say("no incidents")
        return 0
    from engine.app import SystemClock

    now = SystemClock().now()
    print_table(COLUMNS, (_row(incident, now) for incident in page.incidents))
    if page.next_cursor:
        say(f"the newest {limit}; there are more: --limit", style="dim")
    return 0


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
    )
    for name, value in facts:
        if value:
            say(f"  {name:<12}  {value}")


def _after(story: IncidentStory, at: datetime | None) -> str:
    took = ago(story.opened_at, at) if at is not None else ""
    return f"after {took}" if took else ""
