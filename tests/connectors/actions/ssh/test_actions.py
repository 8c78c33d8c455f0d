"""Against a real sshd: what the host did is the witness, not what the client believes."""

import shlex
from pathlib import Path

import pytest

from connectors.actions.ssh.actions import OUTPUT_LIMIT_BYTES, bounded_line
from engine.core.actions import Call, Effect, Prepared, ProbeAnswer, Repeat
from engine.core.json_value import Json, canonical_bytes
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from tests.connectors.actions.ssh.bench import DEADLINE_S, StartBench, ended
from tests.services.ssh_host import SshHost

HOSTILE = [
    "; touch CANARY",
    "$(touch CANARY)",
    "`touch CANARY`",
    "x' ; touch CANARY; '",
    'x" ; touch CANARY; "',
    "x\\'; touch CANARY; \\'",
    "&& touch CANARY ||",
    "| tee CANARY",
    "> CANARY",
    "${IFS}touch${IFS}CANARY",
    "!!; touch CANARY",
    "${{ args.text }}$(touch CANARY)",
    "{touch,CANARY}",
    "*?[a-z]~/#%",
    "\\",
    "'",
    "''",
    "größe 日本 \N{FULLWIDTH APOSTROPHE}\N{FULLWIDTH SEMICOLON}touch CANARY",
    "--help; touch CANARY"[2:],
    "",
]
LINE_BREAKS = ["a\ntouch CANARY\n", "a\r\ntouch CANARY", "'\ntouch CANARY\n'", "\\\ntouch CANARY"]


# What follows from the inputs.


def test_a_change_is_prepared_with_all_that_it_needs(start: StartBench) -> None:
    bench = start(bastion="ops@bastion.example:2222")
    prepared = bench.call("append", file="/tmp/a b").prepared
    assert prepared.effect is Effect.CHANGE
    assert prepared.repeat is Repeat.PROBE
    assert (prepared.connection, prepared.targets) == ("ssh-fra", ("gpu-07",))
    assert prepared.description == "gpu-07$ sh -c 'echo more >> \"$1\"' x '/tmp/a b'"
    assert prepared.payload == {
        "host": "gpu-07",
        "address": "127.0.0.1",
        "port": bench.port,
        "user": bench.config.user,
        "bastion": "ops@bastion.example:2222",
        "argv": ["sh", "-c", 'echo more >> "$1"', "x", "/tmp/a b"],
        "probe_argv": ["cat", "/tmp/a b"],
        "done": "result.stdout != before.stdout",
        "output_limit_bytes": OUTPUT_LIMIT_BYTES,
    }
    assert canonical_bytes(prepared.payload)


@pytest.mark.parametrize(
    ("inputs", "connection", "message"),
    [
        pytest.param({"host": "gpu-70"}, None, "did you mean 'gpu-07'", id="unknown target"),
        pytest.param({"host": "127.0.0.1"}, None, "no target", id="an address is no target"),
        pytest.param({"host": "web"}, None, "is a endpoint", id="another kind"),
        pytest.param({"command": "ecko"}, None, "did you mean 'echo'", id="unknown command"),
        pytest.param({"command": "wipe"}, None, "effect destroy, and ssh.read", id="not a read"),
        pytest.param({"args": {}}, None, "needs the argument 'text'", id="missing argument"),
        pytest.param({"args": {"text": "-n"}}, None, "may not begin with '-'", id="option"),
        pytest.param({"args": {"text": "a\nb"}}, None, "unprintable", id="line break"),
        pytest.param({}, "ssh-ams", "reached by 'ssh-fra', not by 'ssh-ams'", id="connection"),
    ],
)
def test_what_cannot_be_run_is_refused_at_planning(
    start: StartBench, inputs: dict[str, Json], connection: str | None, message: str
) -> None:
    bench = start()
    good: dict[str, Json] = {"host": "gpu-07", "command": "echo", "args": {"text": "a"}}
    with pytest.raises(PermanentError, match=message):
        bench.read.prepare(good | inputs, bench.estate, connection)


@pytest.mark.parametrize(
    ("left_s", "sudo", "line", "bound_s"),
    [
        pytest.param(60.9, False, "timeout -k 10 49 sudo 'a b'", 49, id="a minute"),
        pytest.param(5.0, False, "timeout -k 1 3 sudo 'a b'", 3, id="little time"),
        pytest.param(60.0, True, "timeout -k 10 49 sudo -T 49 'a b'", 49, id="sudo bounds too"),
    ],
)
def test_the_bound_ends_before_the_time_does(
    left_s: float, *, sudo: bool, line: str, bound_s: int
) -> None:
    assert bounded_line(("sudo", "a b"), left_s, sudo=sudo) == (line, bound_s)


def test_too_little_time_begins_nothing() -> None:
    with pytest.raises(TransientError, match="too little to begin"):
        bounded_line(("df",), 2.9, sudo=False)


# What a command gives.


async def test_output_and_exit_code_come_back(start: StartBench) -> None:
    bench = start()
    result = await bench.run.execute(bench.call("end"))
    assert not result.succeeded
    assert result.error == "gpu-07: the command ended with exit code 3"
    assert result.evidence == "out\n--- stderr\nerr"
    outputs = dict(result.outputs)
    assert 0 <= float(str(outputs.pop("duration_s"))) < DEADLINE_S
    assert outputs == {"exit_code": 3, "stdout": "out\n", "stderr": "err\n", "truncated": False}


async def test_a_program_that_is_not_there_is_a_failed_command(start: StartBench) -> None:
    bench = start()
    result = await bench.run.execute(bench.call("missing"))
    assert (result.succeeded, result.outputs["exit_code"]) == (False, 127)


async def test_there_is_no_input_and_no_terminal(start: StartBench) -> None:
    assert (await start().outputs("read-input"))["stdout"] == "not a tty\n"


@pytest.mark.parametrize("text", HOSTILE)
async def test_an_argument_stays_an_argument(start: StartBench, tmp_path: Path, text: str) -> None:
    canary = tmp_path / "canary"
    text = text.replace("CANARY", str(canary))
    outputs = await start().outputs("echo", text=text)
    assert (outputs["stdout"], outputs["stderr"], outputs["exit_code"]) == (text, "", 0)
    assert not canary.exists()


@pytest.mark.parametrize("text", [*HOSTILE, *LINE_BREAKS])
async def test_quoting_alone_holds_too(start: StartBench, tmp_path: Path, text: str) -> None:
    """The second line of defence: what planning would refuse, straight into a plan."""
    bench, canary = start(), tmp_path / "canary"
    text = text.replace("CANARY", str(canary))
    call = bench.call("echo", text="x")
    payload = {**call.prepared.payload, "argv": ["printf", "%s", text]}
    prepared = Prepared(Effect.READ, Repeat.HARMLESS, "ssh-fra", ("gpu-07",), "", payload)
    result = await bench.read.execute(Call(prepared, "attempt", DEADLINE_S))
    assert result.outputs["stdout"] == text
    assert not canary.exists()


async def test_a_flood_of_output_is_cut_and_runs_to_its_end(start: StartBench) -> None:
    outputs = await start().outputs("flood")
    assert outputs["exit_code"] == 0
    assert outputs["truncated"] is True
    # NUL bytes are replaced: a database's text can't hold them.
    assert outputs["stdout"] == outputs["stderr"] == "\ufffd" * OUTPUT_LIMIT_BYTES


async def test_a_daemon_left_behind_holds_nobody_up(start: StartBench) -> None:
    outputs = await start().outputs("leave-a-daemon")
    assert (outputs["stdout"], outputs["exit_code"]) == ("left\n", 0)
    assert float(str(outputs["duration_s"])) < 4


# Bounds.


@pytest.mark.parametrize("name", ["wait", "insist"])
async def test_a_change_past_its_bound_is_over_and_its_outcome_unknown(
    start: StartBench, tmp_path: Path, name: str
) -> None:
    bench, pid = start(), tmp_path / "pid"
    with pytest.raises(OutcomeUnknownError, match=r"ended by its bound of [12] s"):
        await bench.run.execute(bench.call(name, timeout_s=4.0, file=str(pid)))
    assert ended(pid)


async def test_a_read_past_its_bound_failed(start: StartBench, tmp_path: Path) -> None:
    bench, pid = start(), tmp_path / "pid"
    result = await bench.read.execute(bench.call("look-and-wait", timeout_s=4.0, file=str(pid)))
    assert not result.succeeded
    assert "ended by its bound" in result.error
    assert ended(pid)


async def test_a_killed_change_is_unknown(start: StartBench) -> None:
    bench = start()
    with pytest.raises(OutcomeUnknownError, match=r"killed|signal"):
        await bench.run.execute(bench.call("suicide"))


# The probe.


@pytest.mark.parametrize(
    ("name", "config", "not_done"),
    [
        pytest.param("append", {}, ProbeAnswer.NOT_DONE, id="bounded"),
        pytest.param("append-as-root", {}, ProbeAnswer.IN_PROGRESS, id="root's may go on"),
        pytest.param(
            "append-as-root", {"sudo_timeouts": True}, ProbeAnswer.NOT_DONE, id="sudo bounds it"
        ),
    ],
)
async def test_a_probe_tells_whether_the_change_was_done(
    start: StartBench,
    tmp_path: Path,
    name: str,
    config: dict[str, object],
    not_done: ProbeAnswer,
) -> None:
    bench, file = start(**config), tmp_path / "file"
    file.write_text("one\n")
    call = bench.call(name, file=str(file))
    before = await bench.run.look(call)
    assert before == {"exit_code": 0, "stdout": "one\n", "stderr": "", "truncated": False}
    assert await bench.run.probe(call, before) is not_done
    file.write_text("one\nmore\n")
    assert await bench.run.probe(call, before) is ProbeAnswer.DONE


async def test_without_a_probe_nobody_can_tell(start: StartBench) -> None:
    bench = start()
    assert await bench.run.look(bench.call("end")) == {}
    assert await bench.run.probe(bench.call("end"), {}) is ProbeAnswer.CANNOT_TELL


async def test_a_look_that_fails_says_that_nothing_began(start: StartBench) -> None:
    bench = start()
    bench.port = 1
    with pytest.raises(TransientError):
        await bench.run.look(bench.call("append", file="/tmp/x"))


async def test_the_exact_line_reaches_the_host(start: StartBench, ssh_host: SshHost) -> None:
    await start().outputs("echo", text="it's")
    line = ssh_host.commands()[-1].command
    assert line.startswith("timeout -k ")
    assert shlex.split(line)[4:] == ["printf", "%s", "it's"]
