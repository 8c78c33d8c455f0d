"""The pages are written where they belong."""

from pathlib import Path

from engine.app import declared_actions
from engine.catalog.reference_pages import reference_pages
from engine.cli.reference import main


def test_every_page_is_written_over_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "rules.md").write_text("old")
    main(folder)
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == reference_pages(declared_actions())
