"""What people ordered by hand, as a rule that only observes is judged by it."""

from pathlib import Path

import pytest

from tests.doubles.scripted import BAD
from tests.doubles.world import ONCALL, a_world, approve


@pytest.mark.parametrize(("dry_run", "judged"), [(False, 1), (True, 0)])
async def test_a_dry_run_is_not_doing_the_same(
    tmp_path: Path, *, dry_run: bool, judged: int
) -> None:
    async with a_world(tmp_path, mode="observe") as world:
        await world.fire()
        await world.elapse(600)
        world.look.will("serves", BAD)
        await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=ONCALL, dry_run=dry_run)
        await world.settle()
        if not dry_run:
            await approve(world, "by-hand")
        await world.resolve()
        (found,) = [each for each in await world.queries.trust() if each.rule_id == "down"]
        assert found.right == judged
