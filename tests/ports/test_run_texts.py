"""A run goes on with the texts it began with, those of called playbooks too."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.core import events
from engine.core.playbook import Playbook
from engine.core.run import RunState
from engine.core.run import created as state_of
from engine.errors import PermanentError
from engine.ports.run_texts import RunTexts
from tests.doubles.world import World, a_world
from tests.doubles.written import CALLED, CALLER


async def started(world: World) -> RunState:
    await world.fire()
    (event,) = await world.told(events.RunCreated)
    return state_of(event, world.clock.now())


async def test_an_edit_of_a_called_playbook_does_not_reach_a_run_under_way(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=(CALLER, CALLED)) as world:
        state = await started(world)
        known: dict[tuple[str, ...], Playbook] = {}
        texts = RunTexts(world.store, world.catalogs, known)
        assert await texts.playbook_of(state) is world.catalogs.active.playbooks["restart"]
        edited = CALLED.replace("timeout: 60s", "timeout: 7s")
        (tmp_path / "catalog" / "playbooks" / "mend.yaml").write_text(edited)
        world.reload()
        of_run = await texts.playbook_of(state)
        assert of_run.step("mend/restart").timeout.total_seconds() == 60
        assert await texts.playbook_of(state) is of_run
        now = world.catalogs.active.playbooks["restart"]
        assert now.step("mend/restart").timeout.total_seconds() == 7


async def test_a_text_that_is_lost_is_named(world: World) -> None:
    state = await started(world)
    texts = RunTexts(world.store, world.catalogs, {})
    with pytest.raises(PermanentError, match="of playbook 'restart' is lost"):
        await texts.playbook_of(replace(state, playbook_hash="0" * 64))
