"""`quell run` and `quell rollback`: by hand, through the same plan, approval and journal."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.cli.options import DATA, Data, Json, Parameters, Reason, parse_parameters
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.cli.story import actor_width, event_of, tell_entry, whole
from engine.core.events import RunPlanned
from engine.core.timeline import Narrator
from engine.errors import ConflictError
from engine.ports.api import IncidentAnswer, IncidentStory

if TYPE_CHECKING:
    from engine.cli.site import Site

LOOK_EVERY_S = 0.5
GOOD_OUTCOMES = ("succeeded", "not_needed", "skipped")

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Look and plan; change nothing, ask nobody.")
]
Decision = Literal["approve", "reject"]
Decide = Callable[[Decision, str], None]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("run")(run)
    app.command("rollback")(rollback)


def run(
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Its id.")],
    parameter: Parameters = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Start a playbook by hand and follow it.

    It shows the plan and asks on the terminal. Without a terminal, or with --json, it waits for a
    decision elsewhere: Slack, `quell approve`, the API. Exit code 3 when the run failed.

    With --dry-run what only reads is done and journaled: the investigation, the verification once,
    and the guards. Then it ends with what would come next; nothing is changed, nobody is asked.
    """
    parameters = parse_parameters(parameter)
    with reach(data) as site:
        incident = site.run_playbook(playbook, parameters, reason=reason, dry_run=dry_run)
        return _followed(site, incident, json=json)


def rollback(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of a run or an incident; INC-12 too.")],
    reason: Reason = "",
    data: Data = DATA,
    json: Json = False,
) -> int:
    """Take back what an ended run did, and follow it.

    What its approved plan holds as rollback, as a run of its own that shows its plan and asks. Of
    a run that `quell stop` ended it takes over the locks. Exit code 1 where nothing can be taken
    back, 3 when it failed.
    """
    with reach(data) as site:
        incident = site.roll_back(id_, reason=reason)
        return _followed(site, incident, json=json)


def _followed(site: "Site", incident: IncidentAnswer, *, json: bool) -> int:
    """Follow the run that an incident has now; the exit code that its end means."""
    if not json:
        say(f"{incident.name}  {incident.title}", style="bold")

    def look(seen: int) -> IncidentStory:
        return site.incident(incident.id, cursor=str(seen))

    def decide(decision: Decision, plan_hash: str) -> None:
        site.decide(site.approval(incident.id).id, decision, plan_hash=plan_hash)

    try:
        story = follow(look, decide, quiet=json)
    except KeyboardInterrupt:
        say(f"the run goes on without you: quell incidents show {incident.name}")
        raise
    if json:
        print_json(whole(site.incident, incident.id))
    return 0 if story.outcome in GOOD_OUTCOMES else 3


def follow(look: Callable[[int], IncidentStory], decide: Decide, *, quiet: bool) -> IncidentStory:
    """Print news until the run ended; ask when it asks and somebody sits at the terminal.

    `look` gives the incident with what came after an entry.
    """
    seen, width, shown_plan, asked = 0, 0, "", False
    narrator = Narrator()
    while True:
        story = look(seen)
        width = max(width, actor_width(story.timeline))
        for entry in story.timeline:
            seen, event = entry.seq, event_of(entry)
            shown_plan = event.plan_hash if isinstance(event, RunPlanned) else shown_plan
            if not quiet:
                tell_entry(entry, width, narrator)
        if story.next_cursor:
            continue
        if story.outcome:
            return story
        if story.phase == "awaiting_approval" and not asked and not quiet:
            asked = True
            _ask(story, decide, shown_plan)
        time.sleep(LOOK_EVERY_S)


def _ask(story: IncidentStory, decide: Decide, shown_plan: str) -> None:
    if not sys.stdin.isatty():
        say(f"waiting: quell approve {story.name}, or quell reject {story.name}")
        return
    decision: Decision = "approve" if typer.confirm("Approve this plan?") else "reject"
    try:
        # The decision is about the plan that stands above, not about a newer one.
        decide(decision, shown_plan)
    except ConflictError as error:
        say(str(error), style="yellow")
