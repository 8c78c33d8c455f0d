"""Every YAML block that a page shows as a file is one that loads."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.catalog.mappings import read_mapping
from tests.doubles.declarations import ACTIONS

ROOT = Path(__file__).parents[2]
# Its first key that only one kind of file has tells where a block belongs.
KINDS = {
    "rules:": "rules",
    "steps:": "playbook",
    "commands:": "commands",
    "targets:": "inventory",
    "require_for_auto:": "policy",
    "calendars:": "policy",
    "tests:": "tests",
    "status:": "mapping",
}

# Those that playbooks of the pages name.
HOSTS = "language: 1\ntargets: {gpu-07: {kind: host}, gpu-08: {kind: host}, gpu-09: {kind: host}}\n"


def blocks() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for number, part in enumerate(page.read_text().split("```yaml\n")[1:], 1):
            block = part.split("```")[0]
            if block.startswith("language: 1"):
                yield f"{page.relative_to(ROOT)}-{number}", block


def test_the_pages_of_the_languages_have_blocks_of_every_kind() -> None:
    found = {kind_of(block) for _, block in blocks()}
    assert found == set(KINDS.values())


@pytest.mark.parametrize("block", [pytest.param(text, id=name) for name, text in blocks()])
def test_a_block_loads_as_it_is_printed(block: str, tmp_path: Path) -> None:
    kind = kind_of(block)
    sources = CatalogSources(shipped=shipped_folder())
    name = "x"
    if kind == "playbook":
        name = next(line for line in block.splitlines() if line.startswith("id: "))[4:]
    path = tmp_path / {"tests": "x.test.yaml", "commands": "commands.yaml"}.get(
        kind, f"{name}.yaml"
    )
    path.write_text(block)
    match kind:
        case "rules" | "tests":
            sources = replace(sources, rules=[path])
        case "playbook":
            inventory = tmp_path / "inventory.yaml"
            inventory.write_text(HOSTS)
            sources = replace(sources, playbooks=[path], inventory=inventory)
        case "commands":
            sources = replace(sources, commands=[path])
        case "inventory":
            sources = replace(sources, inventory=path)
        case "policy":
            sources = replace(sources, policy=path)
        case "mapping":
            read_mapping(path)
        case _:
            pytest.fail(f"no file is of kind {kind!r}")
    load_catalog(sources, ACTIONS)


def kind_of(block: str) -> str:
    lines = block.splitlines()
    return next(
        kind for word, kind in KINDS.items() if any(line.startswith(word) for line in lines)
    )
