"""`quell new rule`: a rule and its test, from an alert or as a skeleton."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import re2
import typer

from engine.catalog.drafts import SKELETON, Example, example_of, known_beside, rule_id_of
from engine.cli import drafted
from engine.cli.new_action import action
from engine.cli.new_playbook import playbook
from engine.cli.normalize import payloads_of, read_input
from engine.cli.options import DATA, Config, Data, Rules
from engine.cli.output import complain
from engine.cli.site import reach
from engine.cli.story import told_alerts, whole
from engine.errors import PayloadError
from engine.settings import LoadedSettings, load_settings

verbs = typer.Typer(help="Begin a file that a person goes on writing.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(verbs, name="new")


verbs.command("action")(action)
verbs.command("playbook")(playbook)


@verbs.command("rule")
def rule(  # noqa: PLR0913 - one argument an option
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ALERT",
            help="A file with a payload, `-` for standard input, or an incident: INC-12.",
        ),
    ] = None,
    alert: Annotated[
        str, typer.Option("--alert", metavar="NAME", help="Which, where it holds several names.")
    ] = "",
    id_: Annotated[
        str, typer.Option("--id", metavar="ID", help="The rule's; default: made from the name.")
    ] = "",
    source: Annotated[
        str, typer.Option("--source", metavar="KIND", help="A source's kind or name.")
    ] = "alertmanager",
    print_: Annotated[
        bool, typer.Option("--print", help="Print both files instead of writing them.")
    ] = False,
    rules: Rules = None,
    config: Config = None,
    data: Data = DATA,
) -> int:
    """Write a rule that takes an alert, and a test that fires this very alert.

    ID.yaml and ID.test.yaml go into the project's folder of rules; a file that is there is never
    overwritten. The rule asks for the alert's name and its service; other labels that are likely
    to stay the same stand beside them as comments. It is in mode `suggest`, so it starts nothing.
    Without --from it is a skeleton with all that a rule may have.
    """
    from engine.app import draft

    if alert and from_ is None:
        raise typer.BadParameter("--alert says which of --from, so both are needed")
    loaded = load_settings(config, {"rules_dir": rules})
    folder = None if print_ else drafted.folder_for(loaded.settings, "rules")
    examples = [] if from_ is None else _of_one_name(_examples(loaded, from_, source, data), alert)
    rule_id = _checked_id(id_, (examples or [SKELETON])[0])
    made = draft(loaded, rule_id, examples)
    if folder is None:
        drafted.tell(made)
    else:
        drafted.write(made, folder, {"--rules": rules, "--config": config})
    return 0


def _examples(loaded: LoadedSettings, place: str, source: str, data: Path) -> list[Example]:
    """The alerts of a payload or an incident. Raises PayloadError where there is none."""
    if re2.fullmatch(r"INC-\d+", place) and not Path(place).exists():
        return _of_incident(place, data)
    from engine.app import understood_alerts

    found: list[Example] = []
    for payload in payloads_of(read_input(None if place == "-" else Path(place))):
        alerts, problems = understood_alerts(loaded, source, payload)
        found += map(example_of, alerts)
        for problem in problems:
            complain(problem)
    if not found:
        raise PayloadError(f"there is no alert in it that source {source!r} understands")
    return found


def _of_incident(name: str, data: Path) -> list[Example]:
    with reach(data) as site:
        story = whole(site.incident, name)
    found = []
    for each in told_alerts(story)[0]:
        labels = {**each.labels, "alertname": each.name}
        known = known_beside(labels, {"service": story.service})
        if each.name:
            found.append(Example(each.source, labels, each.annotations, known))
    if not found:
        raise PayloadError(f"the timeline of {name} tells of no alert that has a name")
    return found


def _of_one_name(examples: Sequence[Example], wanted: str) -> list[Example]:
    """Those of the wanted name, or of the only one. Raises typer.BadParameter."""
    names = list(dict.fromkeys(each.name for each in examples))
    if not wanted and len(names) > 1:
        raise typer.BadParameter(
            f"there are alerts of several names, choose one with --alert: {', '.join(names)}"
        )
    if wanted and wanted not in names:
        raise typer.BadParameter(f"there is no alert {wanted!r} in it, only {', '.join(names)}")
    return [each for each in examples if each.name == (wanted or names[0])]


def _checked_id(given: str, example: Example) -> str:
    """The given id, or one made from the alert's name. Raises typer.BadParameter."""
    rule_id = given or rule_id_of(example.name)
    if not rule_id:
        raise typer.BadParameter(f"no id follows from the name {example.name!r}; give one: --id")
    return drafted.checked_id(rule_id)
