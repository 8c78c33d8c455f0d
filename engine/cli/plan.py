"""`quell plan`: what a playbook would do, exactly, without doing or asking anything."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from engine.cli.options import Config, Inventory, Json, Parameters, Playbooks, parse_parameters
from engine.cli.output import print_json, say
from engine.cli.permissions import plain
from engine.cli.plan_lines import described, print_lines, table
from engine.core.briefing import Briefing
from engine.core.guard_words import named
from engine.core.host_commands import runs_by_sudo
from engine.core.host_permissions import HostPermissions, PermittedCommand
from engine.core.plan import plan_hash
from engine.core.severity import ModeLimit, effective_mode
from engine.settings import load_settings


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
    from engine.app import rehearse_plan

    given: dict[str, object] = {"playbooks_dir": playbooks, "inventory": inventory}
    loaded = load_settings(config, given)
    briefing = rehearse_plan(loaded, playbook, parse_parameters(parameter))
    limits = [
        {"mode": limit.mode.value, "decided_by": limit.decided_by} for limit in briefing.limits
    ]
    if json:
        found = {"limits": limits, "permissions": plain(briefing.permissions)}
        print_json({**described_plainly(briefing), **found})
        return 0
    hashed = plan_hash(briefing.plan.to_bytes())
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


def _limited(limits: Sequence[ModeLimit]) -> Iterator[tuple[str, str]]:
    if limits:
        mode = effective_mode(limits).mode
        reasons = dict.fromkeys(limit.decided_by for limit in limits if limit.mode is mode)
        yield from table(f"mode: {mode.value} at most", [("by", each) for each in reasons])


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
    yield from table("permissions", rows)


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
    by_sudo = runs_by_sudo(command.argv) or runs_by_sudo(command.probe)
    return f"{command.name} (sudo)" if by_sudo else command.name
