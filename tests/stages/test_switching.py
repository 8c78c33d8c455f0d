"""What people turn off: the storm brake, and what holds a raised mode down."""

from pathlib import Path

import pytest

from engine.core import events
from engine.core.severity import Mode
from engine.errors import ConflictError, DeniedError, NotFoundError
from engine.ports.accepted_modes import in_force, take_modes, waiting_raise
from engine.ports.commands import By
from engine.stages.switching import SwitchStage
from tests.doubles.world import ONCALL, STRANGER, World, a_world

BRAKED = "language: 1\nstorm_brake: {fraction: 30%, services: 2, within: 5m}\n"


def switching(world: World) -> SwitchStage:
    return SwitchStage(world.store, world.author)


async def a_storm(world: World) -> None:
    for service in ("search", "gateway"):
        await world.fire("Other", service=service)


async def test_the_brake_is_lifted_by_a_person_and_counts_anew(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        world.policy(BRAKED)
        with pytest.raises(NotFoundError, match="isn't on"):
            await switching(world).lift_brake(by=ONCALL)
        await a_storm(world)
        with pytest.raises(DeniedError):
            await switching(world).lift_brake(by=STRANGER)
        braked = await world.queries.brake()
        assert await switching(world).lift_brake(by=ONCALL, reason="it is over") == braked
        assert await world.queries.brake() is None
        entry = (await world.store.read(lambda tx: tx.entries("access")))[-1]
        assert entry.event() == events.BrakeLifted(reason="it is over", via="slack")
        assert entry.actor == ONCALL.actor
        await world.fire()
        assert world.mend.done("restart") == 1, "auto acts again, and one service is no storm"
        assert await world.queries.brake() is None
        await world.fire("Other", service="billing")
        assert await world.queries.brake() is not None, "the next storm brakes again"


GUARDED = "language: 1\nsecond_person_for: [auto]\n"
FIRST = "local:quell"
SECOND = By("token:bea", "api", frozenset({"oncall"}))


async def activated(world: World) -> Mode:
    """Take up what the files say, as an engine does; how far the rule `down` goes then."""
    catalog = world.catalogs.active
    world.catalogs.active = await world.store.write(lambda tx: take_modes(tx, catalog, FIRST))
    return mode(world)


def mode(world: World) -> Mode:
    rule = world.catalogs.active.rule("down")
    assert rule is not None
    return min((rule.mode.otherwise, *(cap.mode for cap in rule.caps)), key=lambda m: m.rank)


def raise_mode(world: World) -> None:
    path = world.folder / "catalog" / "rules" / "all.yaml"
    path.write_text(path.read_text().replace("mode: approve", "mode: auto"))
    world.reload()


async def test_a_raised_mode_waits_for_a_second_person(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.policy(GUARDED)
        assert await activated(world) is Mode.APPROVE
        with pytest.raises(NotFoundError, match="nothing waits"):
            await switching(world).confirm_raises("", by=SECOND)
        raise_mode(world)
        files = world.catalogs.active
        assert await activated(world) is Mode.APPROVE
        held = await world.store.read(lambda tx: in_force(tx, files))
        assert held is not files
        world.reload()
        assert await activated(world) is Mode.APPROVE, "a restart changes nothing"
        waiting = await world.queries.raises()
        assert waiting is not None
        assert (waiting[0].raised, waiting[1]) == (("rule down: auto, and keeps approve",), FIRST)
        version = waiting[0].version
        await world.fire()
        (created,) = await world.told(events.RunCreated)
        assert (created.mode, created.mode_decided_by) == (
            "approve",
            "rule down was raised, which a second person has to confirm",
        )
        same = By(FIRST, "cli", frozenset({"admin"}))
        with pytest.raises(DeniedError, match="another person has to confirm"):
            await switching(world).confirm_raises(version, by=same)
        with pytest.raises(DeniedError):
            await switching(world).confirm_raises(version, by=STRANGER)
        with pytest.raises(ConflictError, match="look at it"):
            await switching(world).confirm_raises("0" * 12, by=SECOND)
        await switching(world).confirm_raises(version[:12], by=SECOND, reason="reviewed")
        world.reload()
        files = world.catalogs.active
        assert await world.store.read(lambda tx: in_force(tx, files)) is files
        assert await activated(world) is Mode.AUTO
        assert await world.queries.raises() is None
        entries = await world.store.read(lambda tx: tx.entries("system"))
        kinds = [(e.kind, e.actor) for e in entries]
        assert kinds == [
            (events.ModesAccepted.KIND, FIRST),
            (events.ModesRaised.KIND, FIRST),
            (events.ModesAccepted.KIND, SECOND.actor),
        ]


async def test_what_is_taken_back_waits_no_more(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.policy(GUARDED)
        await activated(world)
        before = (world.folder / "catalog" / "rules" / "all.yaml").read_text()
        raise_mode(world)
        await activated(world)
        (world.folder / "catalog" / "rules" / "all.yaml").write_text(before)
        world.reload()
        assert await activated(world) is Mode.APPROVE
        assert await world.store.read(waiting_raise) is None
