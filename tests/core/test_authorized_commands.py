"""The program for a key's `command=`, run by this machine's own sh and grep."""

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.actions.ssh.actions import bounded_line
from engine.core.authorized_commands import authorized_program, compare_program
from engine.core.command_patterns import authorized_line
from engine.core.documents import Argument, CommandDocument
from engine.core.host_commands import render_command
from engine.core.host_permissions import Compared, HostPermissions
from engine.core.json_value import Json
from tests.catalog.test_shipped_commands import COMMANDS

REFUSED = 126
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
# What fits the formats of the shipped commands' arguments.
OF_FORMAT = {
    "path": ["/srv/a", "/..a/b@c"],
    "path_segment": ["a.b", "..."],
    "url": ["https://a.example/b?c=d&e=f"],
    "address": ["10.0.0.7", "a.example:22"],
    "host": ["10.0.0.7", "a.example"],
}
FREE = CommandDocument.model_validate(
    {
        "argv": ["printf", "%s", "${{ args.text }}"],
        "args": {"text": {"type": "string"}},
        "effect": "read",
        "repeat": "harmless",
    }
)


def argvs(command: CommandDocument) -> Iterator[tuple[str, ...]]:
    yield command.argv
    if command.probe is not None:
        yield command.probe.argv


def values(argument: Argument) -> st.SearchStrategy[Json]:
    match argument.type:
        case "enum":
            return st.sampled_from(argument.values)
        case "integer":
            return st.integers(int(argument.minimum or 0), int(argument.maximum or 10**6))
        case "number":
            return st.floats(argument.minimum or 0, argument.maximum or 10**6)
        case _ if argument.pattern:
            return st.from_regex(argument.pattern, fullmatch=True, alphabet=PRINTABLE)
        case _:
            return st.sampled_from(OF_FORMAT[argument.format or ""])


def line_of(argv: Sequence[str]) -> str:
    return bounded_line(tuple(argv), 60.0, sudo=True)[0]


def needed(*lines: str) -> HostPermissions:
    return HostPermissions("gpu-07", "127.0.0.1", "quell", "", True, (), (), tuple(lines))


SHIPPED = needed(
    *(
        authorized_line(argv, command, {}, sudo_timeouts=True)
        for command in COMMANDS.values()
        for argv in argvs(command)
    )
)


class Gate:
    """The program beside a `timeout` that only says what it was given."""

    def __init__(self, folder: Path, permitted: HostPermissions) -> None:
        self.folder = folder
        self.program = folder / "quell-commands"
        self.program.write_text(authorized_program(permitted))
        (folder / "timeout").write_text("#!/bin/sh\nprintf '%s\\0' timeout \"$@\"\n")
        (folder / "timeout").chmod(0o755)

    def ask(self, line: str | None) -> tuple[int, list[str]]:
        """The exit code, and the words that came through."""
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        if line is not None:
            environment["SSH_ORIGINAL_COMMAND"] = line
        done = subprocess.run(
            ["/bin/sh", self.program],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout.decode().split("\0")[:-1]


# The same program answers every example.
EACH = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"), SHIPPED)


@pytest.mark.parametrize("name", COMMANDS)
@EACH
@given(data=st.data())
def test_what_quell_sends_passes_word_by_word(
    shipped: Gate, name: str, data: st.DataObject
) -> None:
    command = COMMANDS[name]
    arguments = {each: data.draw(values(spec)) for each, spec in command.args.items()}
    rendered = render_command(name, command, arguments)
    for argv in filter(None, (rendered.argv, rendered.probe_argv)):
        line = line_of(argv)
        assert shipped.ask(line) == (0, shlex.split(line)), line


@pytest.mark.parametrize("text", ["a b", "$(touch CANARY); 'x'", "größe\\", "*", "''", '"'])
def test_free_text_is_one_word_whatever_it_says(tmp_path: Path, text: str) -> None:
    gate = Gate(tmp_path, needed(authorized_line(FREE.argv, FREE, {}, sudo_timeouts=False)))
    line = line_of(["printf", "%s", text])
    assert gate.ask(line) == (0, shlex.split(line))
    assert gate.ask(f"{line} {text.partition(' ')[0]}x")[0] == REFUSED
    assert not (tmp_path / "CANARY").exists()


STATE = "timeout -k 10 49 systemctl is-active vllm"


@pytest.mark.parametrize(
    "line",
    [
        None,
        "",
        "''",
        "internal-sftp",
        "systemctl is-active vllm",
        "timeout -k 10 49 systemctl is-active",
        "timeout -k 10 49 systemctl is-active vllm other",
        "timeout -k 10 49 systemctl is-active 'vllm other'",
        "timeout -k 10 49 systemctl 'is-active vllm'",
        "timeout -k 10 49 /tmp/systemctl is-active vllm",
        "timeout -s 9 49 systemctl is-active vllm",
        f"{STATE};touch CANARY",
        f"{STATE} ; touch CANARY",
        f"{STATE}\ntouch CANARY",
        f"{STATE}\n",
        f"{STATE} & touch CANARY",
        f"{STATE} > CANARY",
        f"{STATE}$(touch CANARY)",
        f"{STATE}`touch CANARY`",
        f"{STATE}\ttouch",
        f"{STATE} ",
        f" {STATE}",
        f"{STATE}'",
        f"x=1 {STATE}",
        "timeout -k 10 49 systemctl is-active v*",
        "timeout -k 10 49 systemctl is-active ~",
        "timeout -k 10 49 systemctl is-active $HOME",
        "timeout -k 10 49 systemctl is-active v\\llm",
        'timeout -k 10 49 systemctl is-active "vllm"',
        f"{STATE}\ntimeout -k 10 49 df --output=pcent /srv",
    ],
)
def test_nothing_else_passes(shipped: Gate, line: str | None) -> None:
    assert shipped.ask(line) == (REFUSED, [])
    assert not (shipped.folder / "CANARY").exists()
    assert shipped.ask(STATE)[0] == 0


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    line=st.sampled_from([STATE, "timeout -k 1 2 df --output=pcent '/srv/a'"]),
    place=st.integers(0, 40),
    put=st.text(" ;'\"$`\\\n\t-&|a/", min_size=1, max_size=4),
)
def test_what_passes_is_what_a_line_permits(shipped: Gate, line: str, place: int, put: str) -> None:
    changed = line[:place] + put + line[place:]
    code, words = shipped.ask(changed)
    if code == 0:
        assert words == shlex.split(changed)
        assert any(fits(permitted, words) for permitted in SHIPPED.authorized), changed


def fits(permitted: str, words: Sequence[str]) -> bool:
    """RE2 reads these expressions as POSIX does."""
    patterns = permitted.split("\t")
    return len(patterns) == len(words) and all(
        re2.fullmatch(pattern, word) for pattern, word in zip(patterns, words, strict=True)
    )


LINES = ("timeout\tdf", "timeout\tuptime")
PROGRAM = authorized_program(needed(*LINES))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(PROGRAM, Compared((), (), ()), id="the same"),
        pytest.param(PROGRAM.replace("gpu-07", "gpu-08"), Compared((), (), ()), id="another host"),
        pytest.param(
            PROGRAM.replace("timeout\tdf", "timeout\t.*"),
            Compared(("timeout\t.*",), ("timeout\tdf",), ()),
            id="more and less",
        ),
        pytest.param(
            PROGRAM.replace("|| refuse", "|| true"),
            Compared(
                (),
                (),
                (
                    'matches "$asked" "($plain|$quoted)( ($plain|$quoted))*" || true',
                    'matches "$words" "$permitted" || true',
                    '(missing) matches "$asked" "($plain|$quoted)( ($plain|$quoted))*" || refuse',
                    '(missing) matches "$words" "$permitted" || refuse',
                ),
            ),
            id="a program that refuses nothing",
        ),
    ],
)
def test_what_is_too_much_and_too_little_is_told(text: str, expected: Compared) -> None:
    assert compare_program(text, needed(*LINES)) == expected


def test_another_program_permits_nothing_that_quell_can_read() -> None:
    compared = compare_program("#!/bin/sh\nexec $SSH_ORIGINAL_COMMAND\n", needed(*LINES))
    assert (compared.too_much, compared.too_little) == ((), LINES)
    assert "exec $SSH_ORIGINAL_COMMAND" in compared.unread
