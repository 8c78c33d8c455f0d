"""`ssh.read` and `ssh.run`: commands that operators named, on hosts of the inventory.

Each runs under `timeout` on the host, so that its effect has ended before the attempt's bound even
when nobody is there any more to end it.
"""

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.actions.ssh.connections import Route, SshConfig, SshConnections, classified
from connectors.actions.ssh.exchange import Ending, exchange
from engine.core.action_inputs import check_inputs
from engine.core.actions import (
    Call,
    Declaration,
    Effect,
    Estate,
    Input,
    Prepared,
    ProbeAnswer,
    Repeat,
    Result,
)
from engine.core.documents import TargetDocument
from engine.core.expressions import ValueType
from engine.core.findings import nearest
from engine.core.host_commands import judge_probe, render_command, runs_by_sudo
from engine.core.json_value import Json, JsonObject
from engine.errors import OutcomeUnknownError, PermanentError, QuellError, TransientError

OUTPUT_LIMIT_BYTES = 64 * 1024
# What a probe prints is journaled in every intent.
PROBE_LIMIT_BYTES = 4 * 1024
EVIDENCE_CHARACTERS = 8 * 1024

# After TERM a command has this long to tidy up before KILL, less where the whole time is short.
KILL_AFTER_S = 10
TIMED_OUT, KILLED = 124, 137

INPUTS = {
    "host": Input(ValueType.STRING, description="the id of a target of kind host", names="target"),
    "command": Input(ValueType.STRING, description="a name of commands.yaml", names="command"),
    "args": Input(
        ValueType.map_of(ValueType.DYN),
        required=False,
        description="its arguments",
        names="arguments",
    ),
}
OUTPUTS = {
    "exit_code": ValueType.INT,
    "stdout": ValueType.STRING,
    "stderr": ValueType.STRING,
    "truncated": ValueType.BOOL,
    "duration_s": ValueType.DOUBLE,
}
READ = Declaration(
    name="ssh.read",
    version=1,
    description="Runs a named command that only reads, on one host.",
    inputs=INPUTS,
    outputs=OUTPUTS,
    effects=frozenset({Effect.READ}),
    connection_kind="ssh",
    permits="host_commands",
)
RUN = Declaration(
    name="ssh.run",
    version=1,
    description="Runs a named command on one host.",
    inputs=INPUTS,
    outputs=OUTPUTS,
    effects=frozenset(Effect),
    connection_kind="ssh",
    permits="host_commands",
)


def ssh_actions(configs: Mapping[str, SshConfig]) -> tuple["SshAction", "SshAction"]:
    """`ssh.read` and `ssh.run` over the same connections."""
    connections = SshConnections(configs)
    return SshAction(READ, connections), SshAction(RUN, connections)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A command that ran to an end that its host told; `bound_s` is what `timeout` was given."""

    outputs: Mapping[str, Json]
    ending: Ending
    duration_s: float
    bound_s: int

    @property
    def cut_short(self) -> str:
        """Why it didn't end by itself, "" when it did."""
        if self.ending.signal:
            return f"was ended by signal {self.ending.signal}"
        # A command may give 124 for a reason of its own, but not this late.
        if self.ending.exit_code in (TIMED_OUT, KILLED) and self.duration_s > self.bound_s - 0.5:
            return f"was ended by its bound of {self.bound_s} s"
        return "was killed" if self.ending.exit_code == KILLED else ""


class SshAction:
    """One of the two actions; they differ in the effects that they allow."""

    def __init__(self, declaration: Declaration, connections: SshConnections) -> None:
        self._declaration = declaration
        self._connections = connections

    @property
    def declaration(self) -> Declaration:
        """See Action."""
        return self._declaration

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """The command as argv and the host as an address; nothing is looked up again later."""
        check_inputs(self._declaration, inputs)
        host, name = str(inputs["host"]), str(inputs["command"])
        arguments = inputs.get("args", {})
        command = estate.commands.get(name)
        if command is None:
            raise PermanentError(
                f"input 'command': there is no command {name!r}{nearest(name, estate.commands)}"
            )
        effect = Effect(command.effect)
        if effect not in self._declaration.effects:
            raise PermanentError(
                f"input 'command': {name!r} has the effect {command.effect}, and "
                f"{self._declaration.name} only reads; use ssh.run"
            )
        route = self._route(host, estate, connection)
        rendered = render_command(
            name, command, arguments if isinstance(arguments, Mapping) else {}
        )
        return Prepared(
            effect=effect,
            repeat=Repeat(command.repeat),
            connection=route.connection,
            targets=(host,),
            description=f"{host}$ {shlex.join(rendered.argv)}",
            payload={
                "host": host,
                "address": route.address,
                "port": route.port,
                "user": route.user,
                "bastion": route.bastion,
                "argv": list(rendered.argv),
                "probe_argv": list(rendered.probe_argv),
                "done": rendered.done,
                "output_limit_bytes": OUTPUT_LIMIT_BYTES,
            },
        )

    async def look(self, call: Call) -> JsonObject:
        """How the command's probe ends before the change."""
        if not call.prepared.payload["probe_argv"]:
            return {}
        ended = await self._run(call, "probe_argv", PROBE_LIMIT_BYTES)
        return {
            name: ended.outputs[name] for name in ("exit_code", "stdout", "stderr", "truncated")
        }

    async def execute(self, call: Call) -> Result:
        """Run the command; an exit code other than 0 is a result that didn't succeed."""
        host = call.prepared.payload["host"]
        ended = await self._run(call, "argv", OUTPUT_LIMIT_BYTES)
        error = ended.cut_short
        if error and call.prepared.effect is not Effect.READ:
            raise OutcomeUnknownError(f"{host}: the command {error}; it may have done part of it")
        if not error and ended.ending.exit_code != 0:
            error = f"ended with exit code {ended.ending.exit_code}"
        return Result(
            succeeded=not error,
            outputs=ended.outputs,
            evidence=_evidence(ended.outputs),
            error=f"{host}: the command {error}" if error else "",
        )

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        """Run the command's probe again and compare."""
        payload = call.prepared.payload
        if not payload["probe_argv"]:
            return ProbeAnswer.CANNOT_TELL
        try:
            ended = await self._run(call, "probe_argv", PROBE_LIMIT_BYTES)
        except QuellError:
            return ProbeAnswer.CANNOT_TELL
        if ended.cut_short:
            return ProbeAnswer.CANNOT_TELL
        answer = judge_probe(str(payload["done"]), ended.outputs, before)
        if answer is ProbeAnswer.NOT_DONE and not self._ends_in_time(call):
            return ProbeAnswer.IN_PROGRESS
        return answer

    async def close(self) -> None:
        """Close the connections, of both actions."""
        await self._connections.close()

    def _route(self, host: str, estate: Estate, connection: str | None) -> Route:
        target = estate.targets.get(host)
        if target is None:
            raise PermanentError(
                f"input 'host': {host!r} is no target of the inventory"
                f"{nearest(host, estate.targets)}"
            )
        if target.kind != "host" or not target.address:
            raise PermanentError(
                f"input 'host': {host!r} is a {target.kind} with the address {target.address!r}; "
                "a target of kind host with an address is needed"
            )
        name = _connection_of(host, target, connection)
        config = self._connections.configs.get(name)
        if config is None or estate.connections.get(name) != "ssh":
            raise PermanentError(
                f"input 'host': {host!r} is reached by {name!r}, and that is no connection that "
                "uses ssh"
            )
        return Route(name, config.user, config.bastion, target.address, target.port or config.port)

    def _ends_in_time(self, call: Call) -> bool:
        """Whether the host really ends the command: `timeout` has no power over root's."""
        config = self._connections.configs.get(call.prepared.connection)
        return not runs_by_sudo(_argv(call, "argv")) or (
            config is not None and config.sudo_timeouts
        )

    async def _run(self, call: Call, which: str, limit_bytes: int) -> _Ended:
        """Run one argv of the payload to its end, or say whether it may have begun."""
        payload = call.prepared.payload
        ending = Ending(limit_bytes)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + call.timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                bound_s, began = await self._exchanged(call, _argv(call, which), ending, deadline)
        except TimeoutError as error:
            problem = f"{payload['host']}: no end within {call.timeout_s:g} s"
            raise self._unended(call, which, ending, problem) from error
        if not ending.known:
            problem = f"{payload['host']}: the connection was lost before the command ended"
            raise self._unended(call, which, ending, problem)
        duration_s = loop.time() - began
        outputs: dict[str, Json] = {
            "exit_code": -1 if ending.exit_code is None else ending.exit_code,
            "stdout": _text(ending.stdout),
            "stderr": _text(ending.stderr),
            "truncated": ending.dropped_bytes > 0 or not ending.closed.is_set(),
            "duration_s": round(duration_s, 3),
        }
        return _Ended(outputs, ending, duration_s, bound_s)

    async def _exchanged(
        self, call: Call, argv: tuple[str, ...], ending: Ending, deadline: float
    ) -> tuple[int, float]:
        """Send the command once; the bound that it got, and when it began."""
        payload = call.prepared.payload
        route = Route(
            call.prepared.connection,
            str(payload["user"]),
            str(payload["bastion"]),
            str(payload["address"]),
            int(str(payload["port"])),
        )
        loop = asyncio.get_running_loop()
        while True:
            async with self._connections.lease(route) as lease:
                import asyncssh  # connecting has loaded it, beside the event loop

                config = self._connections.configs[route.connection]
                began = loop.time()
                line, bound_s = bounded_line(argv, deadline - began, sudo=config.sudo_timeouts)
                try:
                    await exchange(lease.connection, line, ending, config.connect_timeout_s)
                except (asyncssh.Error, OSError) as error:
                    lease.retire()
                    if ending.begun:
                        return bound_s, began
                    if lease.reused:  # it had died unnoticed, and nothing was sent
                        continue
                    raise classified(error, f"{route.user}@{route.address}") from error
                except BaseException:
                    lease.retire()
                    raise
                return bound_s, began

    def _unended(self, call: Call, which: str, ending: Ending, problem: str) -> QuellError:
        reads = which != "argv" or call.prepared.effect is Effect.READ
        if not ending.begun or reads:
            return TransientError(problem)
        left = "" if self._ends_in_time(call) else "; run by sudo, it may go on"
        return OutcomeUnknownError(f"{problem}{left}")


def bounded_line(argv: tuple[str, ...], left_s: float, *, sudo: bool) -> tuple[str, int]:
    """What the host's shell is told, and its bound: whole seconds, over before `left_s` is.

    `sudo` says that the host lets sudo bound its commands, which `timeout` can't, as it may not
    send signals to root. Raises TransientError when too little time is left to begin.

    Example: `bounded_line(("df", "-h"), 60.0, sudo=False)` gives `timeout -k 10 49 df -h` and 49.
    """
    kill_after_s = min(KILL_AFTER_S, max(1, int(left_s) // 4))
    bound_s = int(left_s) - kill_after_s - 1
    if bound_s < 1:
        raise TransientError(f"only {left_s:.1f} s are left, too little to begin; nothing was sent")
    if sudo and runs_by_sudo(argv):
        argv = (argv[0], "-T", str(bound_s), *argv[1:])
    return shlex.join(("timeout", "-k", str(kill_after_s), str(bound_s), *argv)), bound_s


def _connection_of(host: str, target: TargetDocument, connection: str | None) -> str:
    if connection and target.connection and connection != target.connection:
        raise PermanentError(
            f"input 'host': {host!r} is reached by {target.connection!r}, not by {connection!r}; "
            "leave the step's connection out"
        )
    name = connection or target.connection
    if not name:
        raise PermanentError(f"input 'host': {host!r} names no connection; add one to its target")
    return name


def _argv(call: Call, which: str) -> tuple[str, ...]:
    argv = call.prepared.payload[which]
    return tuple(map(str, argv)) if isinstance(argv, list | tuple) else ()


def _text(output: bytearray) -> str:
    # PostgreSQL's text can't hold NUL.
    return output.decode(errors="replace").replace("\0", "\ufffd")


def _evidence(outputs: Mapping[str, Json]) -> str:
    parts = [str(outputs["stdout"])[:EVIDENCE_CHARACTERS]]
    if outputs["stderr"]:
        parts.append(f"--- stderr\n{str(outputs['stderr'])[:EVIDENCE_CHARACTERS]}")
    if outputs["truncated"]:
        parts.append("--- more was printed than is kept")
    return "\n".join(part.rstrip("\n") for part in parts if part) or "no output"
