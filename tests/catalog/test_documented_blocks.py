"""Every YAML block that a page shows as a file is one that loads."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.catalog.mappings import read_mapping
from engine.core.documents import PlaybookDocument
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
# What a page that shows a part of a playbook leaves out.
REST = {
    "language": 1,
    "id": "part",
    "description": "Restart it",
    "parameters": {"host": {"type": "target", "kind": "host"}},
    "steps": [
        {
            "id": "restart",
            "uses": "ssh.run",
            "with": {"host": "gpu-07", "command": "drain-host"},
            "rollback": [
                {
                    "id": "back",
                    "uses": "ssh.run",
                    "with": {"host": "gpu-07", "command": "undrain-host"},
                }
            ],
        }
    ],
    "verify": [
        {
            "id": "serves",
            "uses": "llm.complete",
            "with": {"target": "gpu-07", "model": "llama"},
            "until": "result.ok",
            "within": "5m",
        }
    ],
}
PARTS_COMMANDS = {
    "language": 1,
    "commands": {
        name: {"argv": [name], "effect": "change", "repeat": "never"}
        for name in ("drain-host", "undrain-host", "keep-logs", "end-sessions")
    },
}


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


def parts() -> Iterator[tuple[str, str]]:
    """Blocks that show some keys of a playbook, and no more."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        for number, part in enumerate(page.read_text().split("```yaml\n")[1:], 1):
            block = part.split("```")[0]
            if block.split(":")[0] in PlaybookDocument.model_fields.keys() - {"language"}:
                yield f"{page.name}-{number}", block


def test_parts_of_playbooks_are_found() -> None:
    assert {"steps", "outputs", "deadline", "revert", "temporary", "guards"} <= {
        block.split(":")[0] for _, block in parts()
    }


@pytest.mark.parametrize("block", [pytest.param(text, id=name) for name, text in parts()])
def test_a_part_of_a_playbook_loads_with_the_rest_of_one(block: str, tmp_path: Path) -> None:
    written = yaml.safe_load(block)
    playbook = {**REST, **written}
    follower = {**REST, "id": "replace-host"}
    for name, text in (("part", playbook), ("replace-host", follower)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(text))
    (tmp_path / "commands.yaml").write_text(yaml.safe_dump(PARTS_COMMANDS))
    (tmp_path / "inventory").write_text(HOSTS)
    sources = CatalogSources(
        shipped=shipped_folder(), playbooks=[tmp_path], inventory=tmp_path / "inventory"
    )
    assert "part" in load_catalog(sources, ACTIONS).playbooks
