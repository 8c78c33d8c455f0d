"""`quell demo`: its options are its own, and it works from the wheel alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from engine.cli.main import command_line
from tests.demo.demos import tell

# What answers questions before they are asked, by the names that command lines give it.
ANSWERING = frozenset({"yes", "y", "assume_yes", "auto_approve", "approve", "force", "no_input"})


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a verb, by all its spellings, and what its help says."""

    verb: str
    spellings: tuple[str, ...]
    help: str

    @property
    def answers(self) -> bool:
        words = {name.lstrip("-").replace("-", "_") for name in self.spellings}
        return bool(words & ANSWERING) or "without asking" in self.help


def options(command: Any, verb: str = "quell") -> Iterator[Option]:
    """All options of a command and of the commands below it."""
    for each in command.params:
        if each.param_type_name == "option":
            yield Option(verb, (*each.opts, *each.secondary_opts), each.help or "")
    for name, below in getattr(command, "commands", {}).items():
        yield from options(below, f"{verb} {name}")


def test_no_other_verb_can_be_told_to_approve_by_itself() -> None:
    found = [each for each in options(typer.main.get_command(command_line())) if each.answers]
    assert [(each.verb, each.spellings) for each in found] == [("quell demo", ("--yes",))]


def test_the_walk_sees_the_verbs_below_verbs() -> None:
    walked = {each.verb for each in options(typer.main.get_command(command_line()))}
    assert {"quell up", "quell approve", "quell incidents show", "quell audit verify"} <= walked


@pytest.mark.slow
def test_it_works_from_the_wheel_without_a_checkout(tmp_path: Path) -> None:
    uv, root = own_uv(), Path(__file__).parents[2]
    install(uv, "build", "--wheel", "--offline", "--out-dir", str(tmp_path), str(root))
    (wheel,) = tmp_path.glob("quell-*.whl")
    venv, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install(uv, "venv", "--python", sys.executable, str(venv))
    python = venv / "bin" / "python"
    install(uv, "pip", "install", "--python", str(python), str(wheel))
    told = tell("--yes", argv=[str(venv / "bin" / "quell")], cwd=elsewhere)
    assert told.code == 0, told.output + told.errors
    assert "all are as they were written" in told.output


def own_uv() -> str:
    """The one that `make dev` brought along; nobody needs to have it installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(max((cache / "quell").glob("uv-*/bin/uv")))


def install(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
