"""Writes docs/reference: python -m engine.cli.reference"""

from pathlib import Path

from engine.app import declared_actions
from engine.catalog.reference_pages import reference_pages
from engine.catalog.references import FOLDER


def main(folder: Path) -> None:
    """Write every page; what is no page any more is left to whoever sees it in the diff."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in reference_pages(declared_actions()).items():
        (folder / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(FOLDER))
