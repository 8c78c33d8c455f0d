"""What accounts on hosts must be permitted: the commands that playbooks can run there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from engine.core.actions import Declaration, Effect
from engine.core.catalog import Catalog
from engine.core.command_patterns import SUDOERS, argv_patterns, authorized_line, constant
from engine.core.documents import CommandDocument
from engine.core.expansion import Placed
from engine.core.expressions import ExpressionFailedError
from engine.core.host_commands import runs_by_sudo
from engine.core.inventory import Inventory
from engine.core.parameters import TypedParameter
from engine.core.playbook import Playbook, Step
from engine.core.rendering import Renderable, render
from engine.core.sudo_patterns import UnsayableError
from engine.core.templates import Template

# Where a program is that commands.yaml names without its folder: sudoers wants the whole path.
PROGRAMS = "/usr/bin"


@dataclass(frozen=True, slots=True, order=True)
class SudoCommand:
    """One command that an account may run as another: a path, and a pattern of its arguments.

    `arguments` is a POSIX extended expression in sudoers' words, without ^ and $.
    """

    run_as: str
    path: str
    arguments: str


@dataclass(frozen=True, slots=True)
class PermittedCommand:
    """A command of commands.yaml on a host, each argv with `<name>` where an argument stands."""

    name: str
    effect: str
    argv: tuple[str, ...]
    probe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostPermissions:
    """What one account on one host needs. `bastion` is how its connection gets there.

    `authorized` are the lines that quell sends, as patterns; `unsayable` are commands without one,
    each a sentence.
    """

    host: str
    address: str
    user: str
    bastion: str
    sudo_timeouts: bool
    commands: tuple[PermittedCommand, ...]
    sudo: tuple[SudoCommand, ...]
    authorized: tuple[str, ...] = ()
    unsayable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A host's file against what is needed, in its own words; `unread` aren't understood."""

    too_much: tuple[str, ...]
    too_little: tuple[str, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permissions:
    """Of all hosts; `untold` is what quell can't say, each a sentence."""

    hosts: tuple[HostPermissions, ...]
    untold: tuple[str, ...]


# Of one host: each command with the constant arguments that playbooks give it.
_Needs = dict[str, list[Mapping[str, Renderable]]]


@dataclass(slots=True)
class _Gathered:
    """What steps need, by host, and what can't be said of them."""

    catalog: Catalog
    actions: Mapping[str, Declaration]
    only_reads: bool
    needs: dict[str, _Needs] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)

    def add(self, step: Step, hosts: Iterable[str], lacking: str) -> None:
        """One step on these hosts; `lacking` is what to say where there is none."""
        if self.only_reads and step.may_change:
            return
        declared = self.actions[step.uses].permits
        if declared == "unknown":
            self.untold[f"{step.uses} declares nothing on what it must be permitted"] = None
        if declared != "host_commands":
            return
        known = list(hosts)
        if not known:
            self.untold[lacking] = None
        commands = self.catalog.estate.commands
        arguments = step.inputs.get("args") or {}
        for name in _commands_of(step, commands, only_reads=self.only_reads):
            for host in known:
                given = self.needs.setdefault(host, {}).setdefault(name, [])
                given.append(arguments if isinstance(arguments, Mapping) else {})

    def permissions(self) -> Permissions:
        """All of it, by host."""
        hosts = [
            _of_host(host, self.needs[host], self.catalog, self.untold)
            for host in sorted(self.needs)
        ]
        return Permissions(tuple(hosts), tuple(self.untold))


def permissions_of(
    catalog: Catalog,
    actions: Mapping[str, Declaration],
    playbooks: Sequence[Playbook],
    *,
    only_reads: bool,
) -> Permissions:
    """What these playbooks need on the hosts of the inventory; with `only_reads`, to observe.

    Those that they call, or that follow their failure, are among them.
    """
    found = _Gathered(catalog, actions, only_reads=only_reads)
    every: dict[str, Playbook] = {}
    ahead = list(playbooks)
    while ahead:
        playbook = ahead.pop(0)
        if playbook.id in every:
            continue
        every[playbook.id] = playbook
        ahead += playbook.called.values()
        if playbook.on_failure is not None:
            ahead.append(catalog.playbooks[playbook.on_failure.playbook])
    for playbook in every.values():
        for step in playbook.calls:
            hosts = _hosts_of(step, playbook, catalog.inventory)
            lacking = f"playbook {playbook.id}, step {step.id}: the inventory has no host for it"
            found.add(step, hosts, lacking)
    return found.permissions()


def permissions_of_steps(
    catalog: Catalog, actions: Mapping[str, Declaration], steps: Iterable[Placed]
) -> Permissions:
    """What these steps need on the very hosts that they are given; see `permissions_of`."""
    found = _Gathered(catalog, actions, only_reads=False)
    for placed in steps:
        if placed.step.uses:
            step = _given(placed)
            host = constant(step.inputs.get("host")) or ""
            hosts = [host] if _connection_of(host, catalog.inventory) else []
            found.add(step, hosts, f"step {placed.id}: on which host it runs isn't known yet")
    return found.permissions()


def _given(placed: Placed) -> Step:
    """The step with the host and the command that it is given, as far as that is known."""
    inputs = dict(placed.step.inputs)
    for name in {"host", "command"} & inputs.keys():
        with suppress(ExpressionFailedError):
            inputs[name] = str(render(inputs[name], placed.known.bindings()))
    return replace(placed.step, inputs=inputs)


def _hosts_of(step: Step, playbook: Playbook, inventory: Inventory) -> Iterator[str]:
    """The target that the step names, or all that its parameter may name."""
    host = constant(step.inputs.get("host"))
    if host is not None:
        yield from [host] if host in inventory.targets else []
        return
    written = step.inputs["host"]
    text = written.text if isinstance(written, Template) else ""
    parameter: TypedParameter | None = next(
        (each for name, each in playbook.parameters.items() if f"params.{name} " in f"{text} "),
        None,
    )
    kind = parameter.spec.kind if parameter is not None else None
    for target in inventory.names_of_kind("host"):
        if kind in (None, "host") and _connection_of(target, inventory):
            yield target


def _connection_of(target: str, inventory: Inventory) -> Mapping[str, object]:
    """The extra keys of the SSH connection that reaches a target; empty where none does."""
    found = inventory.connections.get(inventory.connection_of(target))
    return (found.model_extra or {}) if found is not None and found.uses == "ssh" else {}


def _commands_of(
    step: Step, commands: Mapping[str, CommandDocument], *, only_reads: bool
) -> Iterator[str]:
    """The command that the step names, or all of the effects that it may have."""
    name = constant(step.inputs.get("command"))
    for each, command in commands.items():
        fits = Effect(command.effect) in step.effects if name is None else each == name
        if fits and not (only_reads and command.effect != "read"):
            yield each


def _of_host(
    host: str, needs: _Needs, catalog: Catalog, untold: dict[str, None]
) -> HostPermissions:
    inventory = catalog.inventory
    connection = _connection_of(host, inventory)
    sudo_timeouts = connection.get("sudo_timeouts") is True
    commands, sudo = [], set[SudoCommand]()
    authorized, unsayable = set[str](), set[str]()
    for name in sorted(needs):
        command = catalog.estate.commands[name]
        probe = command.probe.argv if command.probe is not None else ()
        commands.append(PermittedCommand(name, command.effect, _shown(command.argv), _shown(probe)))
        for arguments in needs[name]:
            for argv in filter(None, (command.argv, probe)):
                try:
                    authorized.add(
                        authorized_line(argv, command, arguments, sudo_timeouts=sudo_timeouts)
                    )
                except UnsayableError as error:
                    unsayable.add(f"command {name}: no pattern can say it: {error}")
                if runs_by_sudo(argv):
                    try:
                        sudo.add(_sudo(argv, command, arguments))
                    except UnsayableError as error:
                        untold[f"command {name}: sudoers can't say it: {error}"] = None
    return HostPermissions(
        host=host,
        address=inventory.targets[host].address,
        user=str(connection.get("user", "")),
        bastion=str(connection.get("bastion", "")),
        sudo_timeouts=sudo_timeouts,
        commands=tuple(commands),
        sudo=tuple(sorted(sudo)),
        authorized=tuple(sorted(authorized)),
        unsayable=tuple(sorted(unsayable)),
    )


def _shown(argv: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        text.replace("${{ args.", "<").replace(" }}", ">").replace("${{args.", "<") for text in argv
    )


def _sudo(
    argv: Sequence[str], command: CommandDocument, given: Mapping[str, Renderable]
) -> SudoCommand:
    """What sudo is told, without its own options. Raises UnsayableError."""
    words, run_as = list(argv[1:]), "root"
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            break
        if option in ("-u", "--user") and words:
            run_as = words.pop(0)
        elif option not in ("-n", "--non-interactive"):
            raise UnsayableError(f"sudo's option {option}")
    if not words:
        raise UnsayableError("sudo without a command")
    program, *arguments = words
    if "${{" in program or "${{" in run_as:
        raise UnsayableError("a program or account that an argument names")
    path = program if program.startswith("/") else f"{PROGRAMS}/{program}"
    return SudoCommand(run_as, path, " ".join(argv_patterns(arguments, command, given, SUDOERS)))
