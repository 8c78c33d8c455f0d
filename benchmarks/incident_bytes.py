"""What one incident leaves in the store for ever: its journal, and the rows that find it.

`python -m benchmarks.incident_bytes`, from the root of the repository. The engine's stages in one
process, over a real store; actions by script, with as much evidence as `journal-tail` gives.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from engine.core.actions import Result
from engine.core.incident import REOPEN_WITHIN
from tests.doubles.scripted import BAD
from tests.doubles.world import ONCALL, World, a_world, mending

INCIDENTS = 50
# 40 lines of a log.
EVIDENCE = "2026-01-31T08:00:00 vllm[4711]: ERROR engine died: CUDA out of memory, see above\n" * 40
WHAT_IS_INSIDE = f"""\
{INCIDENTS} incidents one after the other, each of one alert and its repeats, 40 lines of a log as
evidence, an approved restart that is verified, a message, a postmortem and a ticket; then closed.
Bytes of the pages that each table and its indexes took more, by incident."""


def main() -> None:
    """Measure and print."""
    print(WHAT_IS_INSIDE)
    with tempfile.TemporaryDirectory(prefix="quell-benchmark-") as folder:
        print(table(asyncio.run(growth(Path(folder), INCIDENTS)), INCIDENTS))


async def growth(folder: Path, incidents: int) -> dict[str, int]:
    """Bytes by table after so many incidents, beyond those after the first."""
    async with a_world(folder) as world:
        await mended(world)
        before = sizes(folder / "quell.db")
        for _ in range(incidents):
            await mended(world)
        after = sizes(folder / "quell.db")
    return {name: size - before.get(name, 0) for name, size in after.items()}


async def mended(world: World) -> None:
    """One whole incident."""
    world.look.will("serves", BAD)
    world.look.will("state", Result(succeeded=True, outputs={"ok": True}, evidence=EVIDENCE))
    world.mend.will("restart", mending(world))
    for _ in range(5):
        await world.fire()
        await world.elapse(10)
    incident = next(i for i in reversed(await world.incidents()) if i.rule_id == "down")
    row = await world.queries.approval(incident.id)
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    await world.elapse(60)
    await world.resolve()
    await world.elapse(2 * REOPEN_WITHIN.total_seconds())


def sizes(path: Path) -> dict[str, int]:
    """Bytes of each table with its indexes."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d "
            "JOIN sqlite_master m ON m.name = d.name GROUP BY m.tbl_name"
        ).fetchall()
    return dict(rows)


def table(grown: Mapping[str, int], incidents: int) -> str:
    """For people: the largest first, and all together last."""
    by_size = sorted(grown.items(), key=lambda each: -each[1])
    lines = [f"{name:16} {size / incidents:10,.0f} B" for name, size in by_size if size > 0]
    return "\n".join([*lines, f"{'together':16} {sum(grown.values()) / incidents:10,.0f} B"])


if __name__ == "__main__":
    main()
