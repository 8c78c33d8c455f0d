"""What a run causes by its changes is expected: it waits until the run is over, and some time."""

from pathlib import Path

from engine.core import events
from engine.errors import TransientError
from tests.doubles.scripted import OK, Hanging
from tests.doubles.world import ONCALL, World, a_world, ended, mending, under_way
from tests.doubles.written import RESTART, TWO_RULES

EXPECTING = RESTART.replace(
    "approval:",
    "guards: {expected_alerts: {matchers: ['alertname=Slow'], after: 5m}}\napproval:",
    1,
)
assert EXPECTING != RESTART


async def alert(world: World, instance: str) -> None:
    """Decided on, and nothing is done about it yet."""
    slow = world.alert("Slow", {"instance": instance})
    await world.intake.accept("alertmanager", [slow], 0)
    await world.consume()


async def incidents_of(world: World, rule: str) -> list[str]:
    return [each.service for each in await world.incidents() if each.rule_id == rule]


async def test_what_it_causes_waits_until_it_is_over_and_some_time(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=EXPECTING, rules=TWO_RULES) as world:
        change = Hanging()
        world.mend.will("restart", change)
        async with under_way(world, change):
            await alert(world, "gpu-07:9100")
            assert ("slow", "silenced") in await world.held()
            await alert(world, "gpu-08:9100")
            assert await incidents_of(world, "slow") == ["llm"], "gpu-08 isn't changed"
            world.look.will("serves", OK)
            change.let_go.set()
        await world.elapse(60)
        assert (await ended(world))[0] == "succeeded"
        assert await incidents_of(world, "slow") == ["llm"]
        await world.elapse(300)
        assert await incidents_of(world, "slow") == ["llm", "llm"], "it still fires"


async def test_without_time_after_it_what_still_fires_is_decided_when_it_ends(
    tmp_path: Path,
) -> None:
    playbook = EXPECTING.replace("after: 5m", "after: 0s")
    async with a_world(tmp_path, playbook=playbook, rules=TWO_RULES) as world:
        change = Hanging()
        world.mend.will("restart", change)
        async with under_way(world, change):
            await alert(world, "gpu-07:9100")
            assert await incidents_of(world, "slow") == []
            world.look.will("serves", OK)
            change.let_go.set()
        await world.elapse(60)
        assert (await ended(world))[0] == "succeeded"
        assert await incidents_of(world, "slow") == ["llm"]


async def test_it_is_told_once_and_keeps_nobody_from_hearing_of_the_incident(
    tmp_path: Path,
) -> None:
    playbook = EXPECTING.replace("alertname=Slow", "alertname=~Slow|Down")
    async with a_world(tmp_path, playbook=playbook, rules=TWO_RULES) as world:
        await world.fire()
        row = await world.approval()
        await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
        world.mend.will("restart", mending(world))
        await world.elapse(60)
        (expected,) = await world.told(events.AlertsExpected)
        assert expected.targets == ("gpu-07",)
        assert (await ended(world))[0] == "succeeded"
        shown, _ = world.notifier.shown[-1]
        assert any("succeeded" in line for line in (*shown.lines, shown.outcome))
        (silence,) = await world.queries.silences()
        assert (silence.targets, silence.actor) == (("gpu-07",), "engine")


async def test_what_surely_never_began_expects_it_once(tmp_path: Path) -> None:
    playbook = EXPECTING.replace("rollback: none", "retry: {attempts: 2}\n    rollback: none", 1)
    async with a_world(tmp_path, playbook=playbook, rules=TWO_RULES) as world:
        world.mend.will("restart", TransientError("refused"), mending(world))
        await world.fire()
        row = await world.approval()
        await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
        await world.elapse(60)
        assert len(await world.told(events.AttemptIntended)) == 2
        assert len(await world.told(events.AlertsExpected)) == 1
