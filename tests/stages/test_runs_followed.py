"""What comes after a plan that failed or was cancelled: another playbook, or the way back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.core import events
from tests.doubles.scripted import BAD, FAILED, OK
from tests.doubles.world import ONCALL, World, a_world, approve, mending
from tests.doubles.written import RESTART, UNDOABLE

FAILOVER = RESTART.replace("id: restart\n", "id: failover\n").replace("restart,", "failover,")
FOLLOWED = RESTART + "on_failure: {playbook: failover, with: {host: '${{ params.host }}'}}\n"
CANCELLABLE = UNDOABLE.replace(
    "verify:\n",
    """  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    rollback: none
on_cancel:
  - {id: hang_up, uses: lab.mend, with: {what: hang_up, host: '${{ params.host }}'}}
verify:
""",
)


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, playbook=(FOLLOWED, FAILOVER)) as world:
        world.mend.will("restart", FAILED)
        world.mend.will("failover", mending(world))
        yield world


async def test_a_run_that_failed_starts_the_next_playbook_which_asks_anew(followed: World) -> None:
    world = followed
    await world.fire()
    first = await approve(world)
    second = await world.approval()
    assert second.id != first.id
    assert second.plan_hash != first.plan_hash
    assert (await world.incident()).phase == "awaiting_approval", "nobody is needed but for that"
    assert world.mend.done("failover") == 0, "it has its own approval"
    await approve(world)
    await world.elapse(60)
    ends = await world.told(events.RunEnded)
    assert [end.outcome for end in ends] == ["failed", "succeeded"]
    created = await world.told(events.RunCreated)
    assert [(each.playbook_id, each.attempt) for each in created] == [
        ("restart", 1),
        ("failover", 2),
    ]
    assert (await world.incident()).runs == 2


async def test_the_lock_of_the_run_that_failed_is_free_for_the_next(followed: World) -> None:
    await followed.fire()
    await approve(followed)
    await approve(followed)
    assert followed.mend.done("failover") == 1
    assert await followed.told(events.RunHeldBack) == []


async def test_a_follower_that_fails_too_needs_a_person(followed: World) -> None:
    followed.mend.will("failover", FAILED)
    await followed.fire()
    await approve(followed)
    await approve(followed)
    assert [end.outcome for end in await followed.told(events.RunEnded)] == ["failed", "failed"]
    assert (await followed.incident()).phase == "needs_person"


async def test_the_third_run_of_an_incident_is_the_last(tmp_path: Path) -> None:
    back = FAILOVER + "on_failure: {playbook: restart, with: {host: '${{ params.host }}'}}\n"
    async with a_world(tmp_path, playbook=(FOLLOWED, back)) as world:
        world.mend.will("restart", FAILED)
        world.mend.will("failover", FAILED)
        await world.fire()
        for _ in range(3):
            await approve(world)
        ends = await world.told(events.RunEnded)
        assert len(ends) == 3
        assert ends[-1].reason.endswith("failover does not follow: the incident had 3 runs already")
        assert (await world.incident()).phase == "needs_person"


async def test_a_run_by_hand_is_followed_too_and_its_incident_ends_with_the_last(
    followed: World,
) -> None:
    await followed.commands.run_playbook("restart", {"host": "gpu-08"}, by=ONCALL)
    await followed.settle()
    await approve(followed, "by-hand")
    assert (await followed.incident("by-hand")).status == "open"
    await approve(followed, "by-hand")
    await followed.elapse(60)
    assert (await followed.incident("by-hand")).status == "resolved"


async def test_a_cancel_halfway_is_followed_by_on_cancel_and_the_rollback(tmp_path: Path) -> None:
    """Their own attempts aren't cut short by the cancellation that began them."""
    async with a_world(tmp_path, playbook=CANCELLABLE) as world:

        async def cancelled(_: object) -> object:
            run = (await world.incident()).run_id
            await world.commands.cancel_run(run, by=ONCALL, reason="wrong host")
            return OK

        world.mend.will("restart", cancelled)  # type: ignore[arg-type]
        await world.fire()
        await approve(world)
        await world.settle()
        assert [what for what, _ in world.mend.calls] == ["restart", "hang_up", "undo"]
        (end,) = await world.told(events.RunEnded)
        assert (end.outcome, end.rollback, end.left) == ("cancelled", "done", ())
        assert end.reason == "cancelled by slack:T1/U1: wrong host; rolled back: restart"


async def test_a_stop_during_the_way_back_ends_it(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=CANCELLABLE) as world:

        async def stopped(_: object) -> object:
            await world.commands.stop("all", by=ONCALL, reason="wrong region")
            return OK

        world.mend.will("warm", FAILED)
        world.mend.will("undo", stopped)  # type: ignore[arg-type]
        world.look.will("serves", BAD)
        await world.fire()
        await approve(world)
        (end,) = await world.told(events.RunEnded)
        assert (end.outcome, end.rollback, end.keeps_locks) == ("cancelled", "none", True)
        assert end.left == ("restart", "warm")
