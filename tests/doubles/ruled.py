"""Worlds with rules of a test's own, and what is asked of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.core.incident import Incident
from tests.doubles.world import World, a_world

REST = """
  - {id: unmatched, description: The rest, severity: P3, mode: suggest}
"""


@asynccontextmanager
async def ruled(folder: Path, rules: str, services: str = "") -> AsyncIterator[World]:
    text = f"language: 1\ndefaults: {{notify: [team], postmortem: [P1]}}\nrules:{rules}{REST}"
    async with a_world(folder, rules=text) as world:
        if services:
            (folder / "catalog" / "inventory.yaml").write_text(
                f"language: 1\nservices:\n{services}"
            )
            world.reload()
        yield world


async def of(world: World, rule: str) -> list[Incident]:
    return [each for each in await world.incidents() if each.rule_id == rule]


async def statuses(world: World, rule: str) -> list[tuple[str, int]]:
    return [(each.status, each.open_count) for each in await of(world, rule)]
