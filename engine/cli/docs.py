"""`quell docs build`: every playbook as a runbook page, made from what runs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.catalog.runbooks import MARK, PastRun
from engine.cli.options import Config, Inventory, Playbooks, Rules, project_settings
from engine.cli.output import say
from engine.cli.site import reach
from engine.cli.story import event_of, whole
from engine.client.settings import client_settings
from engine.core import events
from engine.errors import ConfigError
from engine.ports.api import TimelineEntry
from engine.settings import load_settings

# Of so many incidents, the newest, the runs are told: each is asked for by itself.
MAX_INCIDENTS = 200

verbs = typer.Typer(help="Documentation made from what runs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="docs")


@verbs.command("build")
def build(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the pages go.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="A data folder, whose last runs are told."),
    ] = None,
    rules: Rules = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
) -> int:
    """Write each playbook as a runbook page in Markdown, and a list of them.

    What it is for, which rules start it, guards, exact commands, verification and rollback; with
    --data, or a server (QUELL_SERVER), also its last runs and how often it helped. Pages of
    playbooks that are gone are removed; files that are none of its own stay as they are.
    """
    from engine.app import runbook_pages

    loaded = load_settings(config, project_settings(rules, playbooks, inventory))
    runs = None
    if data is not None or client_settings().server:
        runs = sorted(_runs(data or Path()), key=lambda run: run.ended_at, reverse=True)
    pages = runbook_pages(loaded, runs)
    _write(output, pages)
    say(f"wrote {len(pages) - 1} runbooks into {output}")
    return 0


def _runs(data: Path) -> Iterator[PastRun]:
    with reach(data) as site:
        for incident in site.incidents(limit=MAX_INCIDENTS).incidents:
            if incident.run_id:
                story = whole(site.incident, incident.id)
                yield from _runs_of(story.name, story.timeline)


def _runs_of(incident: str, timeline: Sequence[TimelineEntry]) -> Iterator[PastRun]:
    playbooks: dict[str, str] = {}
    for entry in timeline:
        match event_of(entry):
            case events.RunCreated() as created:
                playbooks[created.run_id] = created.playbook_id
            case events.RunEnded() as ended if ended.run_id in playbooks:
                yield PastRun(playbooks[ended.run_id], incident, ended.outcome, entry.at)
            case _:
                pass


def _write(folder: Path, pages: Mapping[str, str]) -> None:
    """All pages, in place of those of before. Raises ConfigError where that can't be."""
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.md")):
            if path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
                if path.name not in pages:
                    path.unlink()
            elif path.name in pages:
                raise ConfigError(f"{path} is no page of quell's; choose another folder")
        for name, text in pages.items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from None
