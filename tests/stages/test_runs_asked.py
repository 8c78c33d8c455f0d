"""What makes auto ask: others at work, and what quell itself may have caused."""

from datetime import timedelta
from pathlib import Path

import pytest

from engine.core import events
from engine.ports.commands import WantedSilence
from tests.doubles.scripted import BAD, OK
from tests.doubles.world import ONCALL, World, a_world, approve, ended, mending
from tests.doubles.written import RESTART, TWO_RULES

OTHER_PLAYBOOK = RESTART.replace("id: restart\n", "id: patch\n", 1).replace(
    "what: restart", "what: patch"
)
PATCH_WHEN_SLOW = TWO_RULES.replace(
    """    mode: auto
    playbook: restart
    with: {host: '${{ alert.target }}'}
  - id: unmatched""",
    """    mode: auto
    playbook: patch
    with: {host: '${{ alert.target }}'}
  - id: unmatched""",
)


async def mended(world: World, name: str = "Down", **labels: str) -> None:
    """Its run changes something, verifies, and the alert ends."""
    world.look.will("serves", BAD)
    world.mend.will("restart", mending(world))
    await world.fire(name, **labels)
    await world.elapse(15)
    await world.resolve(name, **labels)
    world.look.will("serves", BAD)


async def why(world: World, rule: str = "slow") -> str:
    (asked,) = await world.told(events.ApprovalRequested, rule)
    assert await world.told(events.AttemptIntended, rule) == []
    return asked.why


async def test_what_begins_after_a_change_of_its_service_asks(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES) as world:
        await mended(world)
        first = (await world.incident()).name
        await world.elapse(60)
        await world.fire("Slow", instance="gpu-08:9100")
        assert await why(world) == (
            f"it began after restart changed gpu-07 ({first}, 12:00:00 UTC), "
            "which may have caused it"
        )
        world.mend.will("restart", mending(world))
        await approve(world, "slow")
        assert world.mend.done("restart") == 2


async def test_what_begins_long_after_a_change_acts_by_itself(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES) as world:
        await mended(world)
        await world.elapse(30 * 60)
        await world.fire("Slow", instance="gpu-08:9100")
        assert len(await world.told(events.AttemptIntended, "slow")) == 1


async def test_the_same_alert_once_more_is_no_loop(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        await mended(world)
        await world.elapse(3600)
        await mended(world)
        assert world.mend.done("restart") == 2


async def test_a_target_that_another_playbook_changed_lately_asks(tmp_path: Path) -> None:
    playbooks = tmp_path / "catalog" / "playbooks"
    playbooks.mkdir(parents=True)
    (playbooks / "patch.yaml").write_text(OTHER_PLAYBOOK)
    async with a_world(tmp_path, mode="auto", rules=PATCH_WHEN_SLOW) as world:
        for each in ("restart", "patch"):
            world.mend.will(each, OK)  # which does not help
        # Both fire at once, so neither follows from the other.
        await world.send(world.alert("Slow"), world.alert("Down"))
        await world.elapse(400)
        told = [await world.told(events.ApprovalRequested, rule) for rule in ("down", "slow")]
        (asked,) = [each for found in told for each in found]
        assert "gpu-07 was changed by " in asked.why
        assert "less than 30m ago" in asked.why


async def test_a_target_that_a_person_silenced_asks(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        wanted = WantedSilence(
            ('alertname="DiskFull"', 'instance="gpu-07:9100"'),
            world.clock.now() + timedelta(hours=1),
            "new disk",
        )
        await world.commands.silence(wanted, by=ONCALL)
        await world.fire()
        assert (await why(world, "down")).startswith("somebody is at work on gpu-07: ")


async def test_who_was_asked_is_waited_for_when_the_reason_is_gone(tmp_path: Path) -> None:
    patient = RESTART.replace("expires: 10m", "expires: 2h")
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES, playbook=patient) as world:
        await mended(world)
        await world.fire("Slow", instance="gpu-08:9100")
        await world.elapse(3600)
        assert await why(world)
        await world.elapse(3660)
        (end,) = await world.told(events.RunEnded, "slow")
        assert end.outcome == "expired"


REQUIRES = "guards: {requires: {healthy: ['${{ params.standby }}'], otherwise: %s}}\napproval:"
FAIL_OVER = RESTART.replace(
    "  host: {type: target, kind: host}",
    "  host: {type: target, kind: host}\n  standby: {type: target, kind: host, default: gpu-08}",
).replace("approval:", REQUIRES)
STANDBY = "gpu-08:9100"


async def test_a_standby_that_fires_makes_auto_ask(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=FAIL_OVER % "ask") as world:
        await world.fire("Other", instance=STANDBY)
        (other,) = [each for each in await world.incidents() if each.rule_id == "unmatched"]
        await world.fire()
        assert await why(world, "down") == f"gpu-08 has to be healthy, and {other.name} is open"
        await approve(world)
        assert world.mend.done("restart") == 1


async def test_a_standby_whose_alert_a_silence_holds_back_is_not_healthy(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=FAIL_OVER % "ask") as world:
        wanted = WantedSilence(
            ('alertname="Other"',), world.clock.now() + timedelta(hours=1), "known"
        )
        await world.commands.silence(wanted, by=ONCALL)
        await world.fire("Other", instance=STANDBY)
        await world.fire()
        assert await why(world, "down") == (
            "gpu-08 has to be healthy, and Other fires there (silenced)"
        )


async def test_a_run_waits_for_its_standby_even_when_a_person_approved(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=FAIL_OVER % "wait") as world:
        await world.fire()
        await world.fire("Other", instance=STANDBY)
        await approve(world)
        (held,) = await world.told(events.RunHeldBack)
        assert held.guard == "requires"
        assert world.mend.done("restart") == 0
        await world.resolve("Other", instance=STANDBY)
        await world.elapse(10)
        assert world.mend.done("restart") == 1


@pytest.mark.parametrize(("otherwise", "outcome"), [("skip", "skipped"), ("ask", "succeeded")])
async def test_what_fell_ill_after_the_approval_ends_the_run_or_asks_nobody_again(
    tmp_path: Path, otherwise: str, outcome: str
) -> None:
    async with a_world(tmp_path, playbook=FAIL_OVER % otherwise) as world:
        await world.fire()
        await world.fire("Other", instance=STANDBY)
        world.mend.will("restart", mending(world))
        await approve(world)
        await world.elapse(60)
        assert (await ended(world))[0] == outcome
        assert len(await world.told(events.ApprovalRequested)) == 1


async def test_with_a_healthy_standby_auto_acts(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto", playbook=FAIL_OVER % "ask") as world:
        await world.fire()
        assert world.mend.done("restart") == 1


CHECKED = RESTART.replace(
    "approval:",
    "guards: {requires: {otherwise: wait, check: {id: spare, uses: lab.look, "
    "with: {what: spare, host: gpu-08}, until: result.ok}}}\napproval:",
)


async def test_a_check_is_looked_at_right_before_the_change(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=CHECKED) as world:
        world.look.will("spare", OK)
        await world.fire()
        world.look.will("spare", BAD)
        await world.elapse(60)
        await approve(world)
        (held,) = await world.told(events.RunHeldBack)
        assert held.guard == "requires"
        assert held.reason == "spare has to hold, and does not: result.ok"
        assert world.mend.done("restart") == 0
        world.look.will("spare", OK)
        await world.elapse(60)
        assert world.mend.done("restart") == 1
