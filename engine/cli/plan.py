"""`quell plan`: what a playbook would do, exactly, without doing or asking anything."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from engine.cli.options import Config, Inventory, Json, Parameters, Playbooks, parse_parameters
from engine.cli.output import print_indented, print_json, say
from engine.cli.permissions import plain
from engine.core.briefing import Briefing
from engine.core.durations import format_duration
from engine.core.guard_words import ToldGuard, named
from engine.core.host_permissions import HostPermissions, PermittedCommand
from engine.core.incident_view import afterwards, shown, what_follows
from engine.core.plan import Plan, PlannedQuestion, PlannedStep, PlanPhase, plan_hash
from engine.core.severity import ModeLimit, effective_mode

PHASES: Sequence[tuple[PlanPhase, str]] = (
    ("investigate", "investigate"),
    ("guards", "look right before"),
    ("steps", "change"),
    ("verify", "verify"),
    ("rollback", "roll back"),
    ("on_cancel", "when cancelled"),
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("plan")(plan)


def plan(
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Its id.")],
    parameter: Parameters = None,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what a playbook would do with these parameters.

    What it reads and asks first, exact commands, verification, rollback, guards, approval, and
    what accounts must be permitted. Nothing is asked or done: what depends on investigation is
    shown as a hole.
    """
    # Here, because `incidents` and `run` show plans, too, and need neither.
    from engine.app import rehearse_plan
    from engine.settings import load_settings

    given: dict[str, object] = {"playbooks_dir": playbooks, "inventory": inventory}
    loaded = load_settings(config, given)
    briefing = rehearse_plan(loaded, playbook, parse_parameters(parameter))
    hashed = plan_hash(briefing.plan.to_bytes())
    limits = [
        {"mode": limit.mode.value, "decided_by": limit.decided_by} for limit in briefing.limits
    ]
    if json:
        found = {"limits": limits, "permissions": plain(briefing.permissions)}
        print_json({**described_plainly(briefing), **found})
        return 0
    say(f"plan {hashed[:12]} of playbook {playbook}", style="bold")
    print_lines(described(briefing.plan, briefing.holes, briefing.looks, briefing.guards))
    print_lines(_limited(briefing.limits))
    print_lines(_permitted(briefing))
    return 0


def described_plainly(briefing: Briefing) -> dict[str, object]:
    """The same as `described`, for programs."""
    return {
        "plan": briefing.plan,
        "plan_hash": plan_hash(briefing.plan.to_bytes()),
        "holes": briefing.holes,
        "investigation": briefing.looks,
        "guards": [asdict(each) for each in briefing.guards],
    }


def print_lines(lines: Iterable[tuple[str, str]], indent: str = "") -> None:
    """Headings, which stand alone, and below them what wraps beside its head."""
    for head, text in lines:
        if text:
            print_indented((f"{indent}  {head}",), text)
        else:
            say(indent + head, style="bold")


def _limited(limits: Sequence[ModeLimit]) -> Iterator[tuple[str, str]]:
    if limits:
        mode = effective_mode(limits).mode
        reasons = dict.fromkeys(limit.decided_by for limit in limits if limit.mode is mode)
        yield from _table(f"mode: {mode.value} at most", [("by", each) for each in reasons])


def _permitted(briefing: Briefing) -> Iterator[tuple[str, str]]:
    """Hosts that need the same are one line."""
    alike: dict[tuple[object, ...], list[HostPermissions]] = {}
    for host in briefing.permissions.hosts:
        alike.setdefault((host.user, host.bastion, host.commands), []).append(host)
    rows = [(named([host.host for host in hosts]), _account(hosts)) for hosts in alike.values()]
    steps = (*briefing.looks, *briefing.plan.steps)
    if secrets := sorted({name for step in steps for name in step.secrets}):
        rows.append(("secrets", ", ".join(secrets)))
    if any(host.sudo for host in briefing.permissions.hosts):
        verb = f"`quell permissions {briefing.plan.playbook_id} --host HOST`"
        rows.append(("sudoers", f"{verb} prints the lines"))
    rows += [("not told", each) for each in briefing.permissions.untold]
    yield from _table("permissions", rows)


def _account(hosts: Sequence[HostPermissions]) -> str:
    first = hosts[0]
    words = f"{first.user}@{first.address}" if len(hosts) == 1 else f"each as {first.user}"
    words += f" by {first.bastion}" if first.bastion else ""
    does = []
    for effect in ("read", "change", "destroy"):
        names = [_by_sudo(each) for each in first.commands if each.effect == effect]
        does += [f"{', '.join(names)} to {effect}"] if names else []
    return f"{words}: {'; '.join(does)}"


def _by_sudo(command: PermittedCommand) -> str:
    programs = {argv[0].rpartition("/")[2] for argv in (command.argv, command.probe) if argv}
    return f"{command.name} (sudo)" if "sudo" in programs else command.name


def described(
    plan: Plan,
    holes: Sequence[str] = (),
    looks: Sequence[PlannedStep] = (),
    guards: Sequence[ToldGuard] = (),
) -> Iterator[tuple[str, str]]:
    """The plan as (head, text): parameters, steps by phase, what is missing, who approves.

    A heading has no text. `looks` are what is read and asked before it is made, `guards` what
    stands before its first change.
    """
    parameters = [(name, shown(value)) for name, value in plan.parameters.items()]
    yield from _table("parameters", parameters)
    for phase, title in PHASES:
        steps = looks if phase == "investigate" else plan.of(phase)
        rows = [(step.id, _what(step)) for step in steps]
        if phase == "rollback" and not holes and (lasting := _not_undone(plan)):
            rows.append(("none", f"of {', '.join(lasting)}: what it changed stays"))
        yield from _table(title, rows)
    yield from _table("if it helps", [("then", each) for each in afterwards(plan)])
    yield from _table("if it fails", [("then", each) for each in what_follows(plan)])
    missing = "can't be planned before it is investigated, if at all"
    yield from _table(missing, [("?", hole) for hole in holes])
    told = [(each.guard.replace("_", " "), _guarded(each)) for each in guards]
    yield from _table("guards, before the first change", told)
    quorum = "" if plan.approval_quorum == 1 else f"{plan.approval_quorum} of "
    within = _seconds(plan.approval_expires_s)
    yield from _table(
        "approval", [("by", f"{quorum}{', '.join(plan.approval_from)}, within {within}")]
    )
    if plan.deadline_s is not None:
        within = f"{_seconds(plan.deadline_s)} of the first attempt"
        yield from _table("done or undone", [("within", within)])


def _not_undone(plan: Plan) -> Sequence[str]:
    """The changes that nothing takes back, each by its id in the text."""
    undone = {step.undoes for step in plan.of("rollback")}
    steps = (step for step in plan.of("steps") if step.changes and step.id not in undone)
    return list(dict.fromkeys(step.origin for step in steps))


def _table(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A heading and its rows, nothing without any; their texts stand below each other."""
    if rows:
        yield title, ""
    width = max((len(head) for head, _ in rows), default=0)
    yield from ((f"{head:<{width}}", text) for head, text in rows)


def _guarded(guard: ToldGuard) -> str:
    return f"{guard.text} (policy)" if guard.by == "policy" else guard.text


def _what(step: PlannedStep) -> str:
    """What it does, and below that when, and how long."""
    words = [_asks(step.question) if step.question is not None else step.told]
    if step.effect == "destroy":
        words.append("[destroys]")
    if not step.required:
        words.append("[may fail]")
    lines = [" ".join(words)]
    if step.undoes:
        lines.append(f"undoes {step.undoes}")
    if step.affects is not None:
        lines.append(f"affects {', '.join(step.affects) or 'no target'}")
    if step.condition:
        lines.append(f"if {step.condition}")
    if step.until:
        within = f", within {_seconds(step.within_s)}" if step.within_s else ""
        stable = f", stable for {_seconds(step.stable_for_s)}" if step.stable_for_s else ""
        lines.append(f"until {step.until}{within}{stable}")
    return "\n".join(lines)


def _asks(question: PlannedQuestion) -> str:
    choices, within = ", ".join(question.choices), _seconds(question.expires_s)
    return f"asks {', '.join(question.ask)}, within {within}: {question.text} ({choices})"


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))
