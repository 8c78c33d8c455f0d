"""What a start finds of the process before it."""

from pathlib import Path

import pytest

from engine.app import open_engine
from engine.errors import FencedError
from engine.ports.rows import Task
from engine.ports.store import Tx
from engine.settings import load_settings


def claim(tx: Tx) -> Task | None:
    return tx.claim_task("w", 3600.0, ["checkpoint"])


async def test_what_a_killed_predecessor_had_under_way_is_free_at_the_start(
    tmp_path: Path,
) -> None:
    file = tmp_path / "quell.yaml"
    file.write_text("listen: 127.0.0.1:0\ndata: data\n")
    loaded = load_settings(file, {})
    async with open_engine(loaded) as engine:
        left = await engine.store.write(claim)
        assert left is not None
        assert await engine.store.write(claim) is None
    async with open_engine(loaded) as engine:
        assert await engine.store.write(claim) is not None
        with pytest.raises(FencedError):
            await engine.store.write(lambda tx: tx.hold_task(left))
