"""`quell explain`: what would become of an alert, and why each rule does or doesn't take it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.normalize import payloads_of, read_input
from engine.cli.options import Config, Inventory, Json, Playbooks, Rules, project_settings
from engine.cli.output import complain, print_indented, print_json, say
from engine.cli.plan import described_plainly
from engine.cli.plan_lines import described, print_lines
from engine.errors import PayloadError
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.app import Explained

STYLES = {"takes": "bold green", "observes": "yellow", "differs": "dim", "not reached": ""}
# What an alert has beside its labels, in the order in which people ask.
FIELDS = ("service", "target", "environment", "team", "customer", "region", "severity_hint")
# What `described_plainly` has of one.
_NO_PLAN = {"plan": None, "plan_hash": "", "holes": (), "investigation": (), "guards": ()}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("explain")(explain)


def explain(  # noqa: PLR0913 - one argument an option
    alert: Annotated[
        Path | None,
        typer.Argument(
            metavar="ALERT",
            help="A file with a payload, or `quell normalize`'s output; default: standard input.",
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", metavar="KIND", help="A source's kind or name.")
    ] = "alertmanager",
    rules: Rules = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what would become of an alert, and why.

    Each rule in the order in which it is asked, with the condition that differs and the value that
    it saw; then severity, mode and who decided it, and the plan that would be made. Nothing is
    asked or done. The exit code is 1 where a payload, or a part of it, can't be understood.
    """
    from engine.app import explain_payload

    given = project_settings(rules, playbooks, inventory)
    loaded = load_settings(config, given)
    found: list[Explained] = []
    problems: list[str] = []
    for payload in payloads_of(read_input(alert)):
        try:
            explained, wrong = explain_payload(loaded, source, payload)
        except PayloadError as error:
            explained, wrong = [], [str(error)]
        found += explained
        problems += wrong
    if json:
        print_json({"alerts": [_plain(each) for each in found], "problems": problems})
    else:
        for number, each in enumerate(found):
            if number:
                say("")
            _print(each)
        for problem in problems:
            complain(problem)
    return 1 if problems else 0


def _print(explained: "Explained") -> None:
    alert = explained.alert
    say(f"{alert.name or 'an alert without a name'} from {alert.source}", style="bold")
    known = ((name, str(getattr(alert, name))) for name in FIELDS)
    print_lines((name, value) for name, value in known if value)
    say("rules", style="bold")
    width = max((len(each.rule_id) for each in explained.rules), default=0)
    for each in explained.rules:
        head = f"  {each.rule_id:<{width}}"
        print_indented(
            (head,), f"{each.outcome}: {'; '.join(each.reasons)}", style=STYLES[each.outcome]
        )
    for failure in explained.failures:
        complain(f"an expression failed: {failure}")
    print_lines(_outcome(explained))
    plan = explained.plan
    if plan is None:
        say(f"no plan: {explained.no_plan}")
        return
    say("plan", style="bold")
    print_lines(described(plan.plan, plan.holes, plan.looks, plan.guards), indent="  ")


def _outcome(explained: "Explained") -> Iterator[tuple[str, str]]:
    match, mode = explained.match, explained.mode
    if match is None or mode is None:
        return
    yield "incident", ""
    yield "severity", match.severity.name
    yield "mode    ", f"{mode.mode.value}, decided by {mode.decided_by}"
    yield "group   ", ", ".join(f"{name}={value}" for name, value in match.group.items())
    yield "notify  ", ", ".join(match.rule.notify)


def _plain(explained: "Explained") -> dict[str, object]:
    match, mode, plan = explained.match, explained.mode, explained.plan
    rules: Sequence[dict[str, object]] = [
        {"rule": each.rule_id, "outcome": each.outcome, "reasons": list(each.reasons)}
        for each in explained.rules
    ]
    return {
        "name": explained.alert.name,
        "fields": {name: str(getattr(explained.alert, name)) for name in FIELDS},
        "labels": dict(explained.alert.labels),
        "rules": rules,
        "failures": list(explained.failures),
        "rule": match.rule.id if match else "",
        "severity": match.severity.name if match else "",
        "mode": mode.mode.value if mode else "",
        "mode_decided_by": mode.decided_by if mode else "",
        "group": dict(match.group) if match else {},
        **(described_plainly(plan) if plan else _NO_PLAN),
        "no_plan": explained.no_plan,
    }
