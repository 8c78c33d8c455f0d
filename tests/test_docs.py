"""README and docs lead only to what exists: files by relative links, verbs by their names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from engine.cli.main import command_line
from tests.services.process import program, run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A code block or code in a line, and the verb of a command that a line of it begins with.
CODE = re.compile(r"^```[a-z]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
VERB = re.compile(r"^(?:\S*/)?quell ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def broken_links(path: Path) -> Iterator[str]:
    """Relative links of a page that lead to no file."""
    for target in LINK.findall(path.read_text()):
        file = target.partition("#")[0]
        if file and "://" not in target and not (path.parent / file).exists():
            yield target


def unknown_verbs(text: str) -> Iterator[str]:
    """Verbs in a page's code that the command line doesn't have."""
    command = get_command(command_line())
    assert isinstance(command, TyperGroup)
    for block, inline in CODE.findall(text):
        for verb, inner in VERB.findall(block or inline):
            found = command.commands.get(verb)
            if found is None:
                yield verb
            elif isinstance(found, TyperGroup) and inner and inner not in found.commands:
                yield f"{verb} {inner}"


def test_the_alert_rules_for_prometheus_are_sound_and_name_what_there_is(tmp_path: Path) -> None:
    blocks = (ROOT / "docs" / "health.md").read_text().split("```yaml\n")
    (rules,) = [each.split("```")[0] for each in blocks if each.startswith("groups:")]
    (tmp_path / "rules.yaml").write_text(rules)
    run([program("promtool"), "check", "rules", tmp_path / "rules.yaml"])
    named = set(re.findall(r"\bquell_\w+", rules))
    known = (ROOT / "docs" / "metrics.md").read_text()
    assert {name for name in named if f"`{name}`" not in known} == set()
    assert len(named) > 5


@page
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    assert list(broken_links(path)) == []


@page
def test_every_verb_that_is_named_exists(path: Path) -> None:
    assert list(unknown_verbs(path.read_text())) == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").touch()
    written = tmp_path / "page.md"
    written.write_text("[a](there.md#part) [b](gone.md) [c](https://example.com/x) [d](#part)")
    assert list(broken_links(written)) == ["gone.md"]


def test_a_verb_that_does_not_exist_is_found() -> None:
    text = "`quell up` `quell upp` quell prose\n```\n.venv/bin/quell incidents shw INC-1\n```\n"
    assert list(unknown_verbs(text)) == ["upp", "incidents shw"]
