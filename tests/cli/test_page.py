"""docs/cli.md says what the verbs say."""

from pathlib import Path

import pytest

from engine.cli.page import page

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    current = PAGE.read_text() == page()
    assert current, "run: python -m engine.cli.page > docs/cli.md"


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_page_does_not_depend_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert page() == PAGE.read_text()


def test_every_verb_has_its_section_with_what_it_takes() -> None:
    text = page()
    for verb in ("up", "serve", "demo", "check", "incidents list", "audit verify"):
        assert f"\n## quell {verb}\n" in text
    assert "\n- `--listen HOST:PORT`: " in text
    assert "`quell approve [OPTIONS] {ID}`" in text
