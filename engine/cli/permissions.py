"""`quell permissions`: what hosts must permit, and how a sudoers file differs from that."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from engine.cli.options import Config, Inventory, Json, Playbooks, project_settings
from engine.cli.output import complain, print_json, say, visible
from engine.core.authorized_commands import authorized_program, compare_program
from engine.core.host_permissions import Compared, HostPermissions, Permissions
from engine.core.sudoers import compare, sudoers_lines
from engine.errors import ConfigError
from engine.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("permissions")(permissions)


def permissions(  # noqa: PLR0913 - one argument an option
    playbook: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLAYBOOK]...",
            help="Of these, and of what they call or their failure starts; default: of all.",
        ),
    ] = None,
    mode: Annotated[
        Literal["observe", "change"],
        typer.Option("--mode", help="observe: only what reads; change: all that they can do."),
    ] = "change",
    host: Annotated[str, typer.Option("--host", metavar="TARGET", help="On this host alone.")] = "",
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="FILE",
            help="Compare a host's file with it: sudoers, or the authorized commands.",
        ),
    ] = None,
    authorized_commands: Annotated[
        bool,
        typer.Option(
            "--authorized-commands",
            help="Print the program for `command=` in authorized_keys, which lets only these pass.",
        ),
    ] = False,
    playbooks: Playbooks = None,
    inventory: Inventory = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Print what quell's accounts must be permitted, and no more than that.

    For SSH: per host and account the commands that playbooks can run there, and the lines of
    sudoers (sudo 1.9.10 or newer) for those that use sudo. What an action doesn't declare is told.
    With --authorized-commands: the program that sshd runs for quell's key, which lets nothing else
    pass. With --check the exit code is 1 where the file permits too much, too little, or can't be
    read.
    """
    from engine.app import needed_permissions

    loaded = load_settings(config, project_settings(None, playbooks, inventory))
    needed = needed_permissions(loaded, playbook or (), only_reads=mode == "observe")
    if host:
        needed = _of_host(needed, host)
    if check is not None:
        return _check(check, needed, json=json)
    if authorized_commands:
        return _print_program(needed)
    if json:
        print_json(plain(needed))
        return 0
    for each in needed.hosts:
        for line in _shown(each):
            say(line)
    for sentence in needed.untold:
        say(f"# not told: {sentence}", style="yellow")
    return 0


def _of_host(needed: Permissions, host: str) -> Permissions:
    found = tuple(each for each in needed.hosts if each.host == host)
    if not found:
        known = ", ".join(each.host for each in needed.hosts) or "none"
        raise ConfigError(f"nothing runs on {host!r}; there is {known}")
    return Permissions(found, needed.untold)


def plain(needed: Permissions) -> dict[str, object]:
    """For programs, with the lines of each host's sudoers file."""
    hosts = [{**asdict(each), "sudoers": list(sudoers_lines(each))} for each in needed.hosts]
    return {**asdict(needed), "hosts": hosts}


def _shown(needed: HostPermissions) -> Sequence[str]:
    way = f" by {needed.bastion}" if needed.bastion else ""
    lines = [f"# {needed.host}: {needed.user}@{needed.address}{way}"]
    for each in needed.commands:
        lines.append(
            f"#   {each.effect:7} {each.name}: {visible(' '.join(each.argv), one_line=True)}"
        )
        if each.probe:
            probe = visible(" ".join(each.probe), one_line=True)
            lines.append(f"#   {'probe':7} {each.name}: {probe}")
    return [*lines, *sudoers_lines(needed), ""]


def _print_program(needed: Permissions) -> int:
    host = _one_of(needed, authorized_program)
    typer.echo(authorized_program(host), nl=False)  # as it is: words stand between tabs
    for sentence in host.unsayable:
        complain(f"not told    {sentence}")
    return 0


def _one_of(needed: Permissions, file_of: Callable[[HostPermissions], object]) -> HostPermissions:
    """The host, or any where all need the same file. Raises ConfigError where they don't."""
    if len({(each.user, file_of(each)) for each in needed.hosts}) != 1:
        hosts = ", ".join(each.host for each in needed.hosts) or "none"
        raise ConfigError(f"hosts need different files; say whose it is: --host ({hosts})")
    return needed.hosts[0]


def _check(file: Path, needed: Permissions, *, json: bool) -> int:
    """Compare with what is needed, by the file's own first line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be read: {error}") from None
    if text.startswith("#!"):
        compared = compare_program(text, _one_of(needed, lambda each: each.authorized))
    else:
        compared = compare(text, _one_of(needed, sudoers_lines))
    if json:
        print_json(asdict(compared))
    else:
        _tell(compared, needed)
    return 1 if compared.too_much or compared.too_little or compared.unread else 0


def _tell(compared: Compared, needed: Permissions) -> None:
    for right in compared.too_much:
        say(f"too much    {right}", style="red")
    for right in compared.too_little:
        say(f"too little  {right}", style="red")
    for line in compared.unread:
        say(f"not read    {line}", style="yellow")
    if not (compared.too_much or compared.too_little or compared.unread):
        say("it permits what is needed, and no more", style="green")
    for sentence in needed.untold:
        say(f"not told    {sentence}", style="yellow")
