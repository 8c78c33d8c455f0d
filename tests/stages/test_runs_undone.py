"""Taking back what an ended run did: by a person's order, or when a remedy's time is over."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.core import events
from engine.core.incident import Incident
from engine.core.storm_brake import STORM_BRAKE
from engine.core.switches import Switch
from engine.errors import ConflictError, DeniedError
from tests.doubles.scripted import FAILED, OK
from tests.doubles.world import ONCALL, STRANGER, World, a_world, approve
from tests.doubles.written import RESTART, UNDOABLE

REVERTED = UNDOABLE + "revert: {after: 2h}\n"


@pytest.fixture
async def undoable(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, playbook=UNDOABLE) as world:
        yield world


async def succeeded(world: World) -> Incident:
    await world.fire()
    await approve(world)
    await world.elapse(15)
    await world.resolve()
    incident = await world.incident()
    assert (incident.outcome, incident.status) == ("succeeded", "resolved")
    return incident


async def outcomes(world: World) -> list[str]:
    return [end.outcome for end in await world.told(events.RunEnded)]


async def test_a_person_takes_a_run_back_by_a_plan_that_is_asked_for(undoable: World) -> None:
    world = undoable
    incident = await succeeded(world)
    await world.commands.roll_back(incident.run_id, by=ONCALL, reason="worse than before")
    await world.settle()
    assert world.mend.done("undo") == 0, "its plan is asked for first"
    await approve(world)
    assert world.mend.done("undo") == 1
    assert await outcomes(world) == ["succeeded", "succeeded"]
    created = (await world.told(events.RunCreated))[-1]
    assert (created.undoes, created.mode) == (incident.run_id, "approve")
    with pytest.raises(ConflictError, match="taken back already"):
        await world.commands.roll_back(incident.run_id, by=ONCALL)


async def test_what_a_stopped_run_left_is_taken_back_under_its_locks(undoable: World) -> None:
    world = undoable

    async def stopped(_: object) -> object:
        await world.commands.stop("all", by=ONCALL, reason="wrong region")
        return OK

    world.mend.will("restart", stopped)  # type: ignore[arg-type]
    await world.fire()
    await approve(world)
    run = (await world.incident()).run_id
    (lock,) = await world.queries.locks()
    assert lock.held.run_id == run
    await world.commands.resume("all", by=ONCALL)
    await world.commands.roll_back(run, by=ONCALL)
    await world.settle()
    await approve(world)
    assert world.mend.done("undo") == 1
    assert await outcomes(world) == ["cancelled", "succeeded"]
    assert await world.queries.locks() == []


async def test_a_way_back_that_fails_needs_a_person_and_may_be_tried_again(
    undoable: World,
) -> None:
    world = undoable
    run = (await succeeded(world)).run_id
    world.mend.will("undo", FAILED, OK)
    await world.commands.roll_back(run, by=ONCALL)
    await world.settle()
    await approve(world)
    assert (await outcomes(world))[-1] == "failed"
    assert (await world.incident()).phase == "needs_person"
    await world.commands.roll_back(run, by=ONCALL)
    await world.settle()
    await approve(world)
    assert (await outcomes(world))[-1] == "succeeded"


TWO_PARTS = UNDOABLE.replace(
    "verify:\n",
    """  - id: spread
    uses: lab.mend
    with: {what: spread, host: '${{ params.host }}'}
    rollback:
      - {id: gather, uses: lab.mend, with: {what: gather, host: '${{ params.host }}'}}
verify:
""",
)


async def test_what_a_way_back_undid_before_it_failed_is_not_undone_again(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=TWO_PARTS) as world:
        run = (await succeeded(world)).run_id
        world.mend.will("undo", FAILED, OK)
        for _ in range(2):
            await world.commands.roll_back(run, by=ONCALL)
            await world.settle()
            await approve(world)
        assert await outcomes(world) == ["succeeded", "partial", "succeeded"]
        assert (await world.told(events.RunEnded))[1].reason == "step undo: exit code 1"
        assert (world.mend.done("gather"), world.mend.done("undo")) == (1, 2)


async def test_a_way_back_has_no_deadline(tmp_path: Path) -> None:
    playbook = re.sub("(timeout|within): [0-9]+[sm]", r"\1: 20s", TWO_PARTS) + "deadline: 20s\n"
    async with a_world(tmp_path, playbook=playbook) as world:
        run = (await succeeded(world)).run_id

        async def slow(_: object) -> object:
            world.clock.advance(25)
            return OK

        world.mend.will("gather", slow)  # type: ignore[arg-type]
        await world.commands.roll_back(run, by=ONCALL)
        await world.settle()
        await approve(world)
        assert (await outcomes(world))[-1] == "succeeded"
        assert (world.mend.done("gather"), world.mend.done("undo")) == (1, 1)


async def test_under_the_storm_brake_a_remedy_is_taken_back_when_a_person_says_so(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=REVERTED) as world:
        await succeeded(world)
        braked = Switch(STORM_BRAKE, "engine", "incidents opened on 5 services", world.clock.at)
        await world.store.write(lambda tx: tx.switches.turn_on(braked))
        await world.elapse(2 * 3600)
        assert world.mend.done("undo") == 0
        assert (await world.told(events.ApprovalRequested))[-1].why.startswith("the storm brake")
        await approve(world)
        assert world.mend.done("undo") == 1


async def test_who_may_not_order_takes_nothing_back_nor_does_anybody_while_it_runs(
    undoable: World,
) -> None:
    await undoable.fire()
    run = (await undoable.incident()).run_id
    with pytest.raises(DeniedError):
        await undoable.commands.roll_back(run, by=STRANGER)
    with pytest.raises(ConflictError, match="under way"):
        await undoable.commands.roll_back(run, by=ONCALL)


async def test_what_has_no_rollback_is_not_taken_back(world: World) -> None:
    incident = await succeeded(world)
    with pytest.raises(ConflictError, match="has a rollback for"):
        await world.commands.roll_back(incident.run_id, by=ONCALL)


async def test_an_incident_whose_earlier_run_left_something_says_how_to_take_that_back(
    tmp_path: Path,
) -> None:
    followed = UNDOABLE + "on_failure: {playbook: failover, with: {host: '${{ params.host }}'}}\n"
    failover = RESTART.replace("id: restart\n", "id: failover\n").replace("restart,", "failover,")
    async with a_world(tmp_path, playbook=(followed, failover)) as world:
        world.mend.will("restart", FAILED)
        world.mend.will("undo", FAILED, OK)
        await world.fire()
        await approve(world)
        left, latest = [each.run_id for each in await world.told(events.RunCreated)]
        await world.commands.cancel_run(latest, by=ONCALL, reason="I look myself")
        await world.settle()
        hint = f"; `quell rollback {left}` takes back the run of restart before it"
        with pytest.raises(ConflictError, match=hint):
            await world.commands.roll_back(latest, by=ONCALL)
        await world.commands.roll_back(left, by=ONCALL)
        await world.settle()
        await approve(world)
        assert (await outcomes(world))[-1] == "succeeded"
        with pytest.raises(ConflictError, match=r"undone it itself$"):
            await world.commands.roll_back(latest, by=ONCALL)


async def test_a_temporary_remedy_is_taken_back_when_its_time_is_over(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=REVERTED) as world:
        incident = await succeeded(world)
        (end,) = await world.told(events.RunEnded)
        assert end.reason.endswith("it is taken back after 2h")
        await world.elapse(2 * 3600 - 60)
        assert world.mend.done("undo") == 0
        await world.elapse(120)
        assert world.mend.done("undo") == 1, "nobody is asked: it was approved with the plan"
        assert await outcomes(world) == ["succeeded", "succeeded"]
        assert (await world.told(events.RunCreated))[-1].undoes == incident.run_id


async def test_a_temporary_change_that_stays_is_left_to_do_until_it_is_taken_back(
    tmp_path: Path,
) -> None:
    playbook = UNDOABLE + "temporary: true\nkeep: the new size is right until March\n"
    async with a_world(tmp_path, playbook=playbook) as world:
        incident = await succeeded(world)
        told = "restart stays: the new size is right until March"
        assert incident.follow_ups == {incident.run_id: told}
        (opened,) = await world.told(events.FollowUpOpened)
        assert (opened.run_id, opened.reason) == (incident.run_id, told)
        (end,) = await world.told(events.RunEnded)
        assert end.reason.endswith("what it changed stays: the new size is right until March")
        assert "## Left to do\n\n- restart stays: the new size" in "".join(world.kept.values())
        await world.commands.roll_back(incident.run_id, by=ONCALL)
        await world.settle()
        await approve(world)
        assert (await world.incident()).follow_ups == {}
        assert len(await world.told(events.FollowUpDone)) == 1


async def test_a_remedy_that_did_not_help_leaves_nothing_to_do(tmp_path: Path) -> None:
    playbook = UNDOABLE + "temporary: true\nkeep: the new size is right until March\n"
    async with a_world(tmp_path, playbook=playbook) as world:
        world.mend.will("restart", FAILED)
        await world.fire()
        await approve(world)
        assert (await world.incident()).follow_ups == {}


async def test_who_took_it_back_before_its_time_is_not_followed_by_the_timer(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=REVERTED) as world:
        incident = await succeeded(world)
        await world.commands.roll_back(incident.run_id, by=ONCALL)
        await world.settle()
        await approve(world)
        await world.elapse(3 * 3600)
        assert world.mend.done("undo") == 1


async def test_a_person_who_wanted_to_take_it_back_and_may_not_is_followed_by_the_timer(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=REVERTED) as world:
        incident = await succeeded(world)
        await world.elapse(2 * 3600 - 60)
        await world.commands.roll_back(incident.run_id, by=ONCALL)
        await world.elapse(3600)
        assert await outcomes(world) == ["succeeded", "expired", "succeeded"]
        assert world.mend.done("undo") == 1


async def test_nothing_is_taken_back_while_the_run_that_follows_is_under_way(
    tmp_path: Path,
) -> None:
    followed = UNDOABLE + "on_failure: {playbook: restart, with: {host: '${{ params.host }}'}}\n"
    async with a_world(tmp_path, playbook=followed) as world:
        world.mend.will("restart", FAILED)
        world.mend.will("undo", FAILED)
        await world.fire()
        run = (await world.incident()).run_id
        await approve(world)
        assert (await world.incident()).run_id != run
        with pytest.raises(ConflictError, match="is under way: wait for its end"):
            await world.commands.roll_back(run, by=ONCALL)


async def test_a_remedy_stays_while_its_condition_is_false_and_a_person_hears_of_it(
    tmp_path: Path,
) -> None:
    playbook = UNDOABLE + "revert: {after: 2h, when: \"incident.severity == 'P4'\"}\n"
    async with a_world(tmp_path, playbook=playbook) as world:
        await succeeded(world)
        await world.elapse(3 * 3600)
        (held,) = await world.told(events.RunHeldBack)
        assert (held.guard, world.mend.done("undo")) == ("revert", 0)
        await world.elapse(25 * 3600)
        assert (await outcomes(world))[-1] == "skipped"
        assert world.mend.done("undo") == 0
        (left,) = (await world.incident()).follow_ups.values()
        assert left.startswith("its time is over, and it wasn't taken back: ")


async def test_a_person_lets_stay_what_would_have_been_taken_back(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=REVERTED) as world:
        incident = await succeeded(world)
        run = incident.run_id
        with pytest.raises(DeniedError):
            await world.commands.keep(run, by=STRANGER, reason="x")
        kept = await world.commands.keep(incident.name, by=ONCALL, reason="traffic stays high")
        assert kept.follow_ups == {run: "restart stays: traffic stays high"}
        with pytest.raises(ConflictError, match=f"called off already, by {ONCALL.actor}"):
            await world.commands.keep(run, by=ONCALL, reason="once more")
        await world.elapse(3 * 3600)
        assert world.mend.done("undo") == 0
        assert await outcomes(world) == ["succeeded"]
        (called_off,) = await world.told(events.RevertCalledOff)
        assert (called_off.run_id, called_off.reason) == (run, "traffic stays high")
        assert "traffic stays high" in str(world.notifier.shown[-1][0].lines)
        await world.commands.roll_back(run, by=ONCALL)
        await world.settle()
        await approve(world)
        assert world.mend.done("undo") == 1
        assert (await world.incident()).follow_ups == {}


async def test_a_revert_that_waits_for_its_condition_is_called_off(tmp_path: Path) -> None:
    playbook = UNDOABLE + "revert: {after: 2h, when: \"incident.severity == 'P4'\"}\n"
    async with a_world(tmp_path, playbook=playbook) as world:
        run = (await succeeded(world)).run_id
        await world.elapse(3 * 3600)
        await world.commands.keep((await world.incident()).name, by=ONCALL, reason="until March")
        await world.settle()
        assert await outcomes(world) == ["succeeded", "cancelled"]
        assert (await world.incident()).follow_ups == {run: "restart stays: until March"}


async def test_what_nothing_takes_back_is_not_called_off(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=UNDOABLE) as world:
        run = (await succeeded(world)).run_id
        with pytest.raises(ConflictError, match="has no `revert`"):
            await world.commands.keep(run, by=ONCALL, reason="x")


async def test_what_is_being_taken_back_is_not_called_off(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=REVERTED) as world:
        run = (await succeeded(world)).run_id

        async def asked(_: object) -> object:
            with pytest.raises(ConflictError, match="or is being"):
                await world.commands.keep(run, by=ONCALL, reason="x")
            return OK

        world.mend.will("undo", asked)  # type: ignore[arg-type]
        await world.elapse(3 * 3600)
        assert world.mend.done("undo") == 1


async def test_who_says_so_by_hand_waits_for_no_condition(tmp_path: Path) -> None:
    playbook = UNDOABLE + "revert: {after: 2h, when: \"incident.severity == 'P4'\"}\n"
    async with a_world(tmp_path, playbook=playbook) as world:
        incident = await succeeded(world)
        await world.commands.roll_back(incident.run_id, by=ONCALL)
        await world.settle()
        await approve(world)
        assert world.mend.done("undo") == 1
        assert await world.told(events.RunHeldBack) == []
