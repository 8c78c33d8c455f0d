"""The question on a terminal, and who answers where there is none."""

import asyncio
import io
import os
import pty
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

from engine.demo.asking import Answer, Answerer, why_by_itself


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; what is written to the descriptor is typed there."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


@pytest.mark.parametrize(
    ("typed", "approves"),
    [
        ("y\n", True),
        ("YES\n", True),
        ("\n", False),
        ("n\n", False),
        ("yep\n", False),
        ("\4", False),
    ],
    ids=["y", "yes", "nothing", "n", "something else", "end of input"],
)
async def test_only_a_yes_is_a_yes(
    keyboard: int, console: Console, typed: str, approves: bool
) -> None:
    os.write(keyboard, typed.encode())
    async with asyncio.timeout(10):
        answer = await Answerer(console, "").answer()
    word = "yes" if approves else "no"
    assert answer == Answer(approves, f"answered {word} on the terminal")


async def test_others_go_on_while_a_person_thinks(keyboard: int, console: Console) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(Answerer(console, "").answer())
        await asyncio.sleep(0)
        assert not asking.done()
        os.write(keyboard, b"y\n")
    assert asking.result().approves


async def test_a_question_that_is_given_up_leaves_the_terminal_alone(
    keyboard: int, console: Console
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Answerer(console, "").answer()
    os.write(keyboard, b"later\n")
    assert os.read(sys.stdin.fileno(), 100) == b"later\n"


async def test_the_demo_answers_by_itself_with_the_reason(console: Console) -> None:
    answer = await Answerer(console, "--yes was given").answer()
    assert answer == Answer(approves=True, reason="the demo's own answer: --yes was given")


def test_a_person_is_asked_on_a_terminal_unless_it_was_answered_before(keyboard: int) -> None:
    assert keyboard
    assert why_by_itself(yes=False) == ""
    assert why_by_itself(yes=True) == "--yes was given"


@pytest.mark.parametrize("stdin", [None, io.StringIO("y\n")], ids=["closed", "no terminal"])
def test_nobody_is_asked_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert why_by_itself(yes=False) == "standard input is no terminal"
