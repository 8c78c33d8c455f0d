"""What the guards of a playbook and policy make of a run: it waits, ends, or asks."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from engine.core import events
from engine.errors import DeniedError, NotFoundError, TransientError
from engine.ports.store import Store
from tests.doubles.noting import NotingStore
from tests.doubles.scripted import BAD, FAILED, OK, up
from tests.doubles.world import ONCALL, STRANGER, World, a_world, approve, mending, what_was_done
from tests.doubles.written import RESTART, TWO_RULES, UNDOABLE


async def fail_once(world: World, name: str) -> None:
    """A run that changes something and never verifies; its incident clears afterwards."""
    world.look.will("serves", BAD)
    world.mend.will("restart", OK)
    await world.fire(name)
    await world.elapse(400)
    await world.resolve(name)
    await world.elapse(3600)


async def test_a_breaker_stops_the_playbook_until_a_person_lets_one_run_try(
    tmp_path: Path,
) -> None:
    broken = RESTART.replace("approval:", "guards: {breaker: {failures: 2}}\napproval:")
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=broken) as world:
        with pytest.raises(NotFoundError, match="the last run of 'restart' did not fail"):
            await world.commands.try_again("restart", by=ONCALL)
        await fail_once(world, "Down")
        await fail_once(world, "Down")
        await fail_once(world, "Slow")
        (end,) = await world.told(events.RunEnded, "slow")
        assert (end.outcome, end.by_guard, end.changed) == ("skipped", "breaker", False)
        assert end.reason.startswith("the last 2 runs of restart did not help; ")
        assert world.mend.done("restart") == 2
        with pytest.raises(DeniedError):
            await world.commands.try_again("restart", by=STRANGER)
        excused = await world.commands.try_again("restart", by=ONCALL, reason="new driver")
        assert len(excused) == 2
        entry = (await world.store.read(lambda tx: tx.entries("access")))[-1]
        tried = entry.event()
        assert isinstance(tried, events.BreakerTried)
        assert (tried.playbook_id, tried.reason, entry.actor) == (
            "restart",
            "new driver",
            ONCALL.actor,
        )
        await fail_once(world, "Slow")
        assert world.mend.done("restart") == 3, "one more run may try"
        await fail_once(world, "Slow")
        assert world.mend.done("restart") == 3, "and when it fails, none may"


async def test_what_takes_a_run_back_neither_helps_nor_fails_for_the_breaker(
    tmp_path: Path,
) -> None:
    broken = UNDOABLE.replace("approval:", "guards: {breaker: {failures: 2}}\napproval:")
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=broken) as world:
        world.mend.will("undo", FAILED)
        await fail_once(world, "Down")
        run = (await world.incident()).run_id
        # One that fails is no second failure, and one that succeeds doesn't end the row.
        for undone in (FAILED, OK):
            world.mend.will("undo", undone)
            await world.commands.roll_back(run, by=ONCALL)
            await world.settle()
            await approve(world)
            await world.elapse(10)
        outcomes = [end.outcome for end in await world.told(events.RunEnded)]
        assert outcomes == ["partial", "failed", "succeeded"]
        await fail_once(world, "Down")
        assert world.mend.done("restart") == 2, "it failed once until now"
        await fail_once(world, "Slow")
        (end,) = await world.told(events.RunEnded, "slow")
        assert (end.outcome, end.by_guard) == ("skipped", "breaker")


async def test_what_recurs_asks_a_person_and_says_why(tmp_path: Path) -> None:
    recurring = RESTART.replace(
        "approval:", "guards: {recurrence: {times: 2, within: 1d}}\napproval:"
    )
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=recurring) as world:
        await world.fire()
        await world.elapse(15)
        assert await world.told(events.ApprovalRequested) == []
        first = (await world.incident()).name
        world.look.will("serves", BAD)
        world.mend.will("restart", mending(world))
        await world.fire("Slow")
        (asked,) = await world.told(events.ApprovalRequested, "slow")
        assert asked.why.endswith(
            f"restart on gpu-07 would be for the 2. time within 1d ({first}): "
            "it does not last, so open a ticket for the cause"
        )
        assert world.mend.done("restart") == 1
        world.clock.advance(1)
        await world.settle("message")
        shown, _ = world.notifier.shown[-1]
        assert ("why is a person asked?", asked.why) in shown.evidence
        await approve(world, "slow")
        assert world.mend.done("restart") == 2


async def test_a_blast_radius_counts_what_fires_and_what_is_touched(tmp_path: Path) -> None:
    radius = "{group: '${{ target(params.host).service }}', max_unavailable: 1}"
    bounded = RESTART.replace("approval:", f"guards: {{blast_radius: {radius}}}\napproval:")
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=bounded) as world:
        world.mend.will("restart", OK)
        await world.fire()
        assert world.mend.done("restart") == 1, "what it mends is down already, and counts once"
        first = (await world.incident()).name
        await world.fire("Slow", instance="gpu-08:9100")
        (held,) = await world.told(events.RunHeldBack, "slow")
        assert held.guard == "blast_radius"
        assert held.reason == (
            f"2 of 2 of llm would be unavailable, and 1 may: gpu-07 (the run of {first} is at work)"
        )
        await world.elapse(400)
        (held, later) = await world.told(events.RunHeldBack, "slow")
        assert later.reason.endswith(f"and 1 may: gpu-07 (fires in {first})")
        await world.resolve()
        await world.elapse(30)
        assert len(await world.told(events.AttemptIntended, "slow")) == 1, "it is available again"


async def test_what_a_step_affects_is_locked_and_counted(tmp_path: Path) -> None:
    """It runs on gpu-08, which stays: only what it takes out may not be one too many."""
    by_admin = RESTART.replace(
        "with: {what: restart, host: '${{ params.host }}'}",
        "with: {what: restart, host: gpu-08}\n    affects: ['${{ params.host }}']",
    ).replace("approval:", "guards: {blast_radius: {group: llm, max_unavailable: 1}}\napproval:")
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=by_admin) as world:
        world.mend.will("restart", OK)
        await world.fire()
        (intent,) = await world.told(events.AttemptIntended)
        assert intent.targets == ("gpu-08", "gpu-07")
        held = [lock.held.target for lock in await world.queries.locks()]
        assert sorted(held) == ["gpu-07", "gpu-08"]
        await world.fire("Slow", instance="gpu-08:9100")
        (waits,) = await world.told(events.RunHeldBack, "slow")
        assert waits.reason.startswith("gpu-08 is locked by the run of ")


async def test_a_limit_of_policy_makes_the_next_change_of_the_service_wait(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES) as world:
        world.policy("language: 1\nlimits: {changes: {per: service, max: 1, within: 15m}}\n")
        world.mend.will("restart", OK)
        await world.fire()
        await world.fire("Slow", instance="gpu-08:9100")
        (held,) = await world.told(events.RunHeldBack, "slow")
        assert held.guard == "changes"
        await world.elapse(14 * 60)
        assert await world.told(events.AttemptIntended, "slow") == []
        await world.elapse(2 * 60)
        assert len(await world.told(events.AttemptIntended, "slow")) == 1


async def test_an_intent_holds_what_its_radius_counts_until_its_commit(tmp_path: Path) -> None:
    """Else two replicas that count at the same time both find that there is room."""
    limited = RESTART.replace(
        "approval:", "guards: {blast_radius: {group: llm, max_unavailable: 1}}\napproval:"
    )
    async with a_world(tmp_path, playbook=limited) as world:
        await world.fire()
        row = await world.approval()
        await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
        noting = NotingStore(world.store)
        runs = replace(world.runs, store=cast(Store, noting))
        await runs.advance(await world.claimed("run"))
        intent = events.AttemptIntended.KIND
        (held,) = [each.guards for each in noting.seen if intent in each.kinds]
        assert sorted(held) == ["service=llm", "target=gpu-07"]


BY_QUERY = RESTART.replace(
    "approval:",
    "guards: {blast_radius: {group: llm, max_unavailable: 1, "
    "unavailable: {query: 'up == bool 0'}}}\napproval:",
)


async def test_a_query_tells_who_is_unavailable_until_right_before_the_change(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=BY_QUERY) as world:
        world.query.will("query", up(gpu_07=1, gpu_08=0))
        await world.fire()
        world.query.will("query", up(gpu_07=1, gpu_08=1))
        await world.elapse(60)
        await approve(world)
        (held,) = await world.told(events.RunHeldBack)
        assert held.guard == "blast_radius"
        assert held.reason == (
            "2 of 2 of llm would be unavailable, and 1 may: gpu-08 (by Prometheus)"
        )
        assert world.mend.done("restart") == 0
        world.query.will("query", up(gpu_07=1, gpu_08=0))
        await world.elapse(60)
        assert world.mend.done("restart") == 1
        looks = [e for e in await world.told(events.StepObserved) if e.phase == "guards"]
        assert {look.description for look in looks} == {"up == bool 0"}


async def test_a_query_that_nobody_answers_keeps_the_run_back(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=BY_QUERY) as world:
        world.query.will("query", TransientError("no answer within 10 s"))
        await world.fire()
        (held,) = await world.told(events.RunHeldBack)
        assert held.reason.startswith("nobody can tell what of llm is available: Prometheus told ")
        await world.elapse(1900)
        (end,) = await world.told(events.RunEnded)
        assert (end.outcome, end.by_guard) == ("skipped", "blast_radius")
        looks = [e for e in await world.told(events.StepObserved) if e.phase == "guards"]
        assert len(looks) <= 65, "the journal isn't filled while it waits"


ROLLING = RESTART.replace(
    RESTART[RESTART.index("steps:") : RESTART.index("verify:")],
    """steps:
  - id: each
    foreach: {in: [gpu-07, gpu-08], as: node, serial: 1}
    steps:
      - id: restart
        uses: lab.mend
        with: {what: restart, host: '${{ node }}'}
        rollback:
          - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ node }}'}}
""",
)
ROLLING_IN_RADIUS = ROLLING.replace(
    "approval:", "guards: {blast_radius: {group: llm, max_unavailable: 1}}\napproval:"
)


async def test_a_batch_waits_until_the_one_before_is_available_again(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=ROLLING_IN_RADIUS) as world:
        await world.fire()
        await world.elapse(20 * 60)
        assert what_was_done(world) == ["restart gpu-07"]
        (held,) = await world.told(events.RunHeldBack)
        assert held.reason.startswith("2 of 2 of llm would be unavailable, and 1 may: gpu-07 (")
        await world.resolve()
        await world.elapse(30)
        assert what_was_done(world) == ["restart gpu-07", "restart gpu-08"]


async def test_what_was_done_is_undone_where_a_batch_never_comes_back(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=ROLLING_IN_RADIUS) as world:
        await world.fire()
        await world.elapse(31 * 60)
        assert what_was_done(world) == ["restart gpu-07", "undo gpu-07"]
        (end,) = await world.told(events.RunEnded)
        assert end.outcome == "failed"
        first = (await world.incident()).name
        assert f"gpu-07 (fires in {first}) for too long; rolled back: " in end.reason


async def test_each_wait_of_a_batch_is_counted_by_itself(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=ROLLING_IN_RADIUS) as world:
        await world.fire("Odd", instance="gpu-08:9100")
        await world.fire()
        await world.elapse(20 * 60)
        assert what_was_done(world) == []
        await world.resolve("Odd", instance="gpu-08:9100")
        await world.elapse(20 * 60)
        assert what_was_done(world) == ["restart gpu-07"]
        assert await world.told(events.RunEnded) == []


async def test_before_each_batch_the_query_is_asked_again(tmp_path: Path) -> None:
    radius = "{group: llm, max_unavailable: 1, unavailable: {query: 'up == bool 0'}}"
    asking = ROLLING.replace("approval:", f"guards: {{blast_radius: {radius}}}\napproval:").replace(
        "verify:", "      - {id: settle, wait: 60s}\nverify:"
    )
    async with a_world(tmp_path, mode="auto", playbook=asking) as world:
        world.query.will("query", up(gpu_07=0, gpu_08=0))
        await world.fire()
        await world.resolve()
        await world.elapse(30)
        world.query.will("query", up(gpu_07=1, gpu_08=0))
        await world.elapse(60)
        assert what_was_done(world) == ["restart gpu-07"]
        (held,) = await world.told(events.RunHeldBack)
        assert held.reason.endswith("and 1 may: gpu-07 (by Prometheus)")
        world.query.will("query", up(gpu_07=0, gpu_08=0))
        await world.elapse(60)
        assert what_was_done(world) == ["restart gpu-07", "restart gpu-08"]
