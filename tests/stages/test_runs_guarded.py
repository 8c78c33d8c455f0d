"""What other runs, the source and the clock keep a run from."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import override

from engine.core import events
from engine.core.actions import Call, Result
from engine.core.journal import NewEntry
from engine.core.json_value import JsonObject
from engine.core.still_firing import Confirmation
from engine.errors import ConflictError, DeniedError, NotFoundError, PermanentError, TransientError
from engine.ports.confirming import ANSWER_WITHIN_S
from engine.ports.locking import all_locks
from tests.doubles.scripted import BAD, OK
from tests.doubles.virtual_time import VirtualClock, until
from tests.doubles.world import ONCALL, STRANGER, World, a_world, approve, ended, mending
from tests.doubles.written import RESTART, TWO_RULES

GUARDED = RESTART.replace(
    "approval:",
    """guards:
  cooldown: {for: 10m, per: target}
  budget: {runs: 2, within: 1h, per: playbook}
approval:""",
)


@pytest.fixture
async def auto(tmp_path: Path) -> AsyncIterator[World]:
    """Two rules whose runs need nobody, with a playbook that has guards."""
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=GUARDED) as world:
        yield world


async def locks(world: World) -> dict[str, bool]:
    """Whether each locked target's run has ended."""
    found = await world.store.read(all_locks)
    return {each.held.target: each.kept for each in found}


async def stop_halfway(world: World) -> None:
    """A run that has begun to change something, and was stopped then."""
    world.mend.will("restart", OK)
    await world.fire()
    assert (await world.incident()).phase == "verifying"
    await world.commands.stop("all", by=ONCALL, reason="wrong region")
    await world.settle()
    await world.commands.resume("all", by=ONCALL)


async def test_a_run_locks_its_target_from_its_first_intent_to_its_end(auto: World) -> None:
    seen = []

    async def restart(call: Call) -> Result:
        seen.append(await locks(auto))
        return await mending(auto)(call)

    async def before(_: Call) -> JsonObject:
        seen.append(await locks(auto))
        return {}

    auto.mend.looks = [before]
    auto.mend.will("restart", restart)
    await auto.fire()
    assert seen == [{}, {"gpu-07": False}]
    await auto.elapse(15)
    assert await ended(auto) == ("succeeded", "every verification held")
    assert await locks(auto) == {}


async def test_a_second_run_waits_for_the_target_and_then_finds_it_mended(auto: World) -> None:
    auto.mend.will("restart", OK)  # and yet it doesn't serve: the first run goes on verifying
    await auto.fire()
    assert (await auto.incident()).phase == "verifying"
    await auto.fire("Slow")
    slow = await auto.incident("slow")
    (held,) = await auto.told(events.RunHeldBack, "slow")
    first = (await auto.incident()).name
    assert (held.guard, held.reason) == ("lock", f"gpu-07 is locked by the run of {first}")
    assert slow.outcome == ""
    auto.look.will("serves", OK)
    await auto.elapse(30)
    (end,) = await auto.told(events.RunEnded, "slow")
    assert (end.outcome, end.changed) == ("not_needed", False)
    assert auto.mend.done("restart") == 1
    assert len(await auto.told(events.RunHeldBack, "slow")) == 1, "one lock, told once"


async def test_a_cooldown_ends_the_second_run_and_a_person_is_needed(auto: World) -> None:
    await auto.fire()
    await auto.elapse(15)
    auto.look.will("serves", BAD)
    await auto.fire("Slow")
    (end,) = await auto.told(events.RunEnded, "slow")
    assert (end.outcome, end.by_guard, end.changed) == ("skipped", "cooldown", False)
    first = (await auto.incident()).name
    assert end.reason == (
        f"restart on gpu-07 ended at 12:00:10 UTC ({first}), and cools down for 10m"
    )
    assert (await auto.incident("slow")).phase == "needs_person"
    assert auto.mend.done("restart") == 1


async def test_what_never_began_is_given_back(auto: World) -> None:
    auto.mend.will("restart", PermanentError("not permitted"))
    await auto.fire()
    (end,) = await auto.told(events.RunEnded)
    assert (end.outcome, end.changed) == ("failed", False)
    assert await locks(auto) == {}
    auto.mend.will("restart", mending(auto))
    await auto.fire("Slow")
    await auto.elapse(15)
    (end,) = await auto.told(events.RunEnded, "slow")
    assert end.outcome == "succeeded", "neither the lock nor the cooldown of a run without effect"


async def test_a_run_that_a_stop_ended_halfway_keeps_its_target_until_a_person_lets_go(
    auto: World,
) -> None:
    await stop_halfway(auto)
    outcome, reason = await ended(auto)
    assert outcome == "cancelled"
    assert reason.endswith("; it was under way, so gpu-07 stays locked (`quell locks list`)")
    assert await locks(auto) == {"gpu-07": True}
    assert [each.kept for each in await auto.queries.locks()] == [True]
    await auto.fire("Slow")
    assert (await auto.told(events.RunHeldBack, "slow"))[0].guard == "lock"

    with pytest.raises(NotFoundError, match="'gpu-08' isn't locked; what is: gpu-07"):
        await auto.commands.release_lock("gpu-08", by=ONCALL)
    with pytest.raises(DeniedError):
        await auto.commands.release_lock("gpu-07", by=STRANGER)
    (freed,) = await auto.commands.release_lock("gpu-07", by=ONCALL, reason="looked at it")
    assert (freed.held.target, freed.held.incident) == ("gpu-07", (await auto.incident()).name)
    assert await locks(auto) == {}
    entries = await auto.store.read(lambda tx: tx.entries("access"))
    released = entries[-1].event()
    assert isinstance(released, events.LockReleased)
    assert (released.targets, released.reason) == (("gpu-07",), "looked at it")
    assert entries[-1].actor == ONCALL.actor


async def test_the_lock_of_a_run_at_work_is_its_own(auto: World) -> None:
    auto.mend.will("restart", OK)
    await auto.fire()
    name = (await auto.incident()).name
    with pytest.raises(ConflictError, match=f"the run of {name} is at work on 'gpu-07'"):
        await auto.commands.release_lock("gpu-07", by=ONCALL)


async def test_a_lock_that_is_taken_between_the_question_and_the_intent_is_seen(
    auto: World,
) -> None:
    """The other run is faster in the moment of the look; the first one waits."""
    auto.mend.will("restart", OK)

    async def overtaken(_: Call) -> JsonObject:
        auto.mend.looks = [{}]
        await auto.fire("Slow")
        return {}

    auto.mend.looks = [overtaken]
    await auto.fire()
    slow = (await auto.incident("slow")).name
    (held,) = await auto.told(events.RunHeldBack)
    assert held.reason == f"gpu-07 is locked by the run of {slow}"
    assert await auto.told(events.AttemptIntended) == []
    assert len(await auto.told(events.AttemptIntended, "slow")) == 1


# Whether it still fires.


async def test_what_the_source_says_is_journaled_and_shown(world: World) -> None:
    await world.fire()
    (asked,) = await world.told(events.StillFiringAsked)
    assert (asked.answer, asked.basis, asked.detail) == ("firing", "source", "asked")
    (occurrence,) = world.source.asked
    assert occurrence.alert.labels["instance"] == "gpu-07:9100"
    await world.elapse(1)
    shown, _ = world.notifier.shown[-1]
    assert ("does it still fire?", "the source says that it still fires (asked)") in shown.evidence


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Confirmation("cannot_tell", "source", "down"), id="it can't tell"),
        pytest.param(TransientError("no route"), id="it can't be reached"),
        pytest.param(PermanentError("not permitted"), id="it refuses"),
    ],
)
async def test_in_auto_a_source_that_does_not_confirm_leads_to_a_person(
    auto: World, answer: Confirmation | Exception
) -> None:
    auto.source.answers = [answer]
    await auto.fire()
    assert (await auto.incident()).phase == "awaiting_approval"
    assert auto.mend.calls == []
    await approve(auto)
    assert auto.mend.done("restart") == 1


async def test_a_source_that_never_answers_is_not_waited_for(auto: World) -> None:
    auto.source.answers = [TimeoutError()]  # as asyncio ends what has hung for too long
    await auto.fire()
    (asked,) = await auto.told(events.StillFiringAsked)
    assert asked.answer == "cannot_tell"
    assert asked.detail == f"no answer within {ANSWER_WITHIN_S:g} s"


async def test_an_alert_that_the_source_knows_nothing_of_changes_nothing(auto: World) -> None:
    """A forged one, say: neither in auto nor after an approval."""
    auto.source.answers = [Confirmation("resolved", "source", "asked am")]
    await auto.fire()
    await auto.elapse(200)
    (end,) = await auto.told(events.RunEnded)
    assert (end.outcome, end.by_guard) == ("skipped", "still_firing")
    assert (await auto.incident()).phase == "needs_person"
    assert auto.mend.calls == []


async def test_a_source_that_is_no_longer_configured_can_not_tell(auto: World) -> None:
    auto.source.name = "renamed"
    await auto.fire()
    (asked,) = await auto.told(events.StillFiringAsked)
    assert asked.detail == "there is no source 'alertmanager' any more"
    assert asked.answer == "cannot_tell"


# Clocks, and versions.


@dataclass
class RightClock(VirtualClock):
    """The store's: it shows the true time of the other one."""

    other: VirtualClock = field(default_factory=VirtualClock)

    @override
    def now(self) -> datetime:
        return self.other.at


@pytest.mark.parametrize(
    ("wrong_by_s", "acts"), [(4.9, True), (-4.9, True), (5.1, False), (-600, False)]
)
async def test_nothing_is_changed_while_clocks_disagree(
    auto: World, wrong_by_s: float, acts: bool
) -> None:
    """The store's clock stays right; this machine's is off."""
    auto.store._clock = RightClock(other=auto.clock)
    auto.clock.wrong_by = timedelta(seconds=wrong_by_s)
    if acts:
        await auto.fire()
        assert auto.mend.done("restart") == 1
        return
    with pytest.raises(TransientError, match="off the store's: nothing is changed"):
        await auto.fire()
    assert await auto.told(events.AttemptIntended) == []
    auto.clock.wrong_by = timedelta(0)
    await auto.elapse(60)
    assert auto.mend.done("restart") == 1


class Later(events.Event):
    """What a version to come may write."""

    KIND = "run.later@2"
    run_id: str


async def test_a_run_that_a_newer_version_has_written_to_is_left_to_it(world: World) -> None:
    await world.fire()
    incident = await world.incident()
    later = NewEntry(Later(run_id=incident.run_id), world.clock.at)
    await world.store.write(lambda tx: tx.append(f"incident/{incident.id}", [later]))
    await world.store.write(lambda tx: tx.wake_task("run", incident.run_id))
    task = await world.claimed("run")
    with pytest.raises(PermanentError, match=r"'run\.later@2', which this version does not know"):
        await world.runs.advance(task)
    await world.store.write(lambda tx: world.runs.park(tx, task, "it fails"))
    assert (await world.incident()).phase == "needs_person"
    world.clock.advance(1)
    await world.settle("message")
    shown, _ = world.notifier.shown[-1]
    assert any("a person should look: advancing the run failed 1 times" in x for x in shown.lines)


async def test_a_run_that_can_not_go_on_is_told_to_people_and_still_tried(world: World) -> None:
    world.look.will("state", ValueError("a gap in an action"))  # no error of quell's
    await world.intake.accept("alertmanager", [world.alert()], 0)
    await world.consume()
    failures = world.metrics.task_failures.labels(kind="run")._value
    async with asyncio.TaskGroup() as group:
        running = group.create_task(world.loop().run())
        for count in range(1, 7):
            await until(partial(lambda wanted: failures.get() == wanted, count))
            await until_put_off(world, count)
            world.clock.advance(100)
            await world.ring()
        running.cancel()
    (parked,) = await world.told(events.RunParked)
    assert (parked.failures, parked.error) == (5, "a gap in an action")
    assert (await world.incident()).phase == "needs_person"


async def until_put_off(world: World, failures: int) -> None:
    async with asyncio.timeout(10):
        while [each.failures for each in (await world.tasks("run")).values()] != [failures]:
            await asyncio.sleep(0)
