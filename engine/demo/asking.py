"""The answer to the demo's question: a person's on the terminal, or the demo's own.

The question doesn't hold up what goes on meanwhile.
"""

import asyncio
import os
import sys
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and the reason for the journal."""

    approves: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers; `by_itself` says why no person is asked, "" when one is."""

    console: Console
    by_itself: str

    async def answer(self) -> Answer:
        """The answer; a person is waited for."""
        if self.by_itself:
            return Answer(approves=True, reason=f"the demo's own answer: {self.by_itself}")
        approves = await confirmed("Approve this plan?", self.console)
        word = "yes" if approves else "no"
        return Answer(approves, f"answered {word} on the terminal")


def why_by_itself(*, yes: bool) -> str:
    """Why the demo answers by itself, "" when there is a terminal on which to ask."""
    if yes:
        return "--yes was given"
    somebody = sys.stdin is not None and sys.stdin.isatty()
    return "" if somebody else "standard input is no terminal"


async def confirmed(question: str, console: Console) -> bool:
    """Ask and wait for a line; only y or yes is a yes. Needs a terminal on standard input."""
    console.print(f"\n  {question} [y/N] ", end="", markup=False, style="bold yellow")
    loop, line = asyncio.get_running_loop(), asyncio.Event()
    # A thread that reads would still wait for its line when the engine was told to stop.
    loop.add_reader(sys.stdin.fileno(), line.set)
    try:
        await line.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    answer = os.read(sys.stdin.fileno(), 1024).decode(errors="replace")
    return answer.strip().lower() in ("y", "yes")
