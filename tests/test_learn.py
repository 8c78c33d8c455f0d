"""What docs/learn shows is what happens: its files are written, its commands are run, in order."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.main import execute

FOLDER = Path(__file__).parents[1] / "docs" / "learn"
# In this order, in one folder: each goes on where the one before ended.
PAGES = ("first-playbook.md", "second-playbook.md")
# JSON has no comments, so the text in front of it names its file.
BLOCK = re.compile(
    r"(?:`([^`\n]+)`:\n\n)?^```(yaml|json|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """(file, text) to write, or ("", transcript) to play."""
    for name, kind, text in BLOCK.findall(page.read_text()):
        if kind == "console":
            yield "", text
        else:
            yield name or text.partition("\n")[0].removeprefix("# "), text


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Each command with the output that the page shows."""
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Standard output and what went wrong, as a terminal shows them."""
    words = shlex.split(command)
    if words[0] == "quell":
        execute(words[1:])
        return "".join(capsys.readouterr())
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout


def matches(shown: str, output: str) -> bool:
    """Whether it is what the page shows; `…` stands for anything."""
    return re.fullmatch(re.escape(shown).replace("…", ".*"), output, re.DOTALL) is not None


def test_every_page_is_followed() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.md")) == sorted(PAGES)


def test_the_pages_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QUELL_SERVER", raising=False)
    # As wide as the page, whatever the terminal of this run.
    monkeypatch.setenv("COLUMNS", "200")
    for file, text in (step for name in PAGES for step in steps(FOLDER / name)):
        if file:
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            continue
        for command, shown in commands(text):
            output = run(command, capsys)
            assert matches(shown, output), f"$ {command}\n{output}"


def test_what_differs_is_seen() -> None:
    assert matches("wrote … pages\n", "wrote 7 pages\n")
    assert not matches("wrote … pages\n", "wrote 7 page\n")
    assert not matches("all is well\n", "all is well\nand more\n")
