"""A storm keeps everything from acting by itself, on every replica, and is told once."""

from pathlib import Path

from engine.core import events
from engine.core.incident import Incident
from engine.stages.switching import SwitchStage
from tests.doubles.world import ONCALL, World, a_world, approve
from tests.doubles.written import RULES
from tests.stages.test_switching import BRAKED, a_storm

RULES_OF_QUELL = RULES.replace(
    "  - id: unmatched",
    """  - id: braked
    description: The storm brake is on
    matchers: ['alertname="QuellStormBrake"']
    when: alert.source == "quell"
    severity: P2
    mode: suggest
  - id: unmatched""",
)


async def braked(world: World) -> list[Incident]:
    return [each for each in await world.incidents() if each.rule_id == "braked"]


async def test_in_a_storm_auto_asks_and_says_why(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        world.policy(BRAKED)
        await world.fire("Other", service="search")
        assert await world.queries.brake() is None
        await world.fire("Other", service="gateway")
        await world.elapse(3600)
        await world.fire()
        (asked,) = await world.told(events.ApprovalRequested)
        assert asked.why.startswith("the storm brake is on since ")
        assert "incidents opened on 2 services within 5m: gateway, search" in asked.why
        assert world.mend.done("restart") == 0
        await approve(world)
        assert world.mend.done("restart") == 1


async def test_a_storm_is_one_incident_until_the_brake_is_lifted(tmp_path: Path) -> None:
    async with a_world(tmp_path, rules=RULES_OF_QUELL) as world:
        world.policy(BRAKED)
        await a_storm(world)
        await world.fire("Other", service="billing")
        await world.elapse(1)
        (incident,) = await braked(world)
        assert (incident.status, incident.service) == ("open", "quell")
        assert incident.title.startswith("the storm brake is on: incidents opened on 2 services")
        system = await world.store.read(lambda tx: tx.entries("system"))
        assert [e.kind for e in system] == [events.StormBraked.KIND]
        await SwitchStage(world.store, world.author).lift_brake(by=ONCALL)
        await world.settle()
        (incident,) = await braked(world)
        assert incident.status == "resolved"


async def test_without_the_word_in_the_policy_nothing_brakes(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        await a_storm(world)
        assert await world.queries.brake() is None
        await world.fire()
        assert world.mend.done("restart") == 1
