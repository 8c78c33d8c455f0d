"""What others say that they changed: a run that would change the same asks a person."""

from pathlib import Path

import pytest

from engine.core import events
from engine.core.recent_changes import OutsideChange
from engine.core.timeline import sentence
from engine.errors import DeniedError, NotFoundError
from engine.ports.commands import By
from engine.stages.changing import ChangeStage
from tests.doubles.scripted import BAD
from tests.doubles.world import STRANGER, World, a_world, approve
from tests.doubles.written import INVENTORY, TWO_RULES

CI = By("token:ci", "api", frozenset({"oncall"}))
APPLY = "terraform apply of gpu-pool"
# It acts by itself after a change of a service as a whole, which only others tell of.
NEEDS_GATEWAY = INVENTORY.replace(
    "  llm: {environment: staging, team: inference}\n",
    "  llm: {environment: staging, team: inference, depends_on: [gateway]}\n"
    "  gateway: {}\n  billing: {}\n",
)


async def changed(world: World, *targets: str, services: tuple[str, ...] = ()) -> OutsideChange:
    changes = ChangeStage(world.store, world.catalogs)
    return await changes.tell_change(OutsideChange(APPLY, targets, services), by=CI, reason="more")


async def asked(world: World, rule: str = "down") -> str:
    (request,) = await world.told(events.ApprovalRequested, rule)
    assert await world.told(events.AttemptIntended, rule) == []
    return request.why


def inventory(world: World, text: str) -> None:
    (world.folder / "catalog" / "inventory.yaml").write_text(text)
    world.reload()


async def test_what_was_told_is_kept_once_by_id_with_who_told_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        kept = await changed(world, "gpu-07:9100", "gpu-07", "gpu-08", services=("llm", "llm"))
        assert kept == OutsideChange(APPLY, ("gpu-07", "gpu-08"), ("llm",))
        (entry,) = await world.store.read(lambda tx: tx.entries("access"))
        told = entry.event()
        assert told == events.ChangeTold(
            what=APPLY, targets=("gpu-07", "gpu-08"), services=("llm",), reason="more", via="api"
        )
        assert entry.actor == CI.actor
        said, _ = sentence(told, entry.actor)
        assert said == f"{APPLY} changed gpu-07, gpu-08, llm, told by token:ci: more"
        assert await world.queries.locks() == [], "nothing is locked by it"


@pytest.mark.parametrize(
    ("targets", "services", "problem"),
    [
        pytest.param(
            ("gpu-7",), (), "no target 'gpu-7', did you mean 'gpu-07'", id="a target, misspelt"
        ),
        pytest.param(("gpu-07",), ("lm",), "no service 'lm', did you mean 'llm'", id="a service"),
        pytest.param(("llm",), (), "no target 'llm'", id="a service that was called a target"),
    ],
)
async def test_what_nobody_knows_is_refused_with_the_nearest_and_nothing_is_kept(
    tmp_path: Path, targets: tuple[str, ...], services: tuple[str, ...], problem: str
) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        with pytest.raises(NotFoundError, match=problem):
            await changed(world, *targets, services=services)
        assert await world.store.read(lambda tx: tx.entries("access")) == []
        await world.fire()
        assert world.mend.done("restart") == 1


async def test_who_may_order_nothing_tells_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        stage = ChangeStage(world.store, world.catalogs)
        with pytest.raises(DeniedError):
            await stage.tell_change(OutsideChange(APPLY, ("gpu-07",)), by=STRANGER)
        assert await world.store.read(lambda tx: tx.entries("access")) == []


async def test_a_target_that_somebody_else_changed_lately_asks(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        await changed(world, "gpu-07:9100")
        await world.elapse(60)
        await world.fire()
        assert await asked(world) == (
            f"it began after {APPLY} changed gpu-07 (token:ci, 12:00:00 UTC), which may have "
            f"caused it; gpu-07 was changed by {APPLY} until 12:00:00 UTC (token:ci), "
            "less than 30m ago"
        )
        await approve(world)
        assert world.mend.done("restart") == 1


@pytest.mark.parametrize(
    ("services", "asks"),
    [
        pytest.param(("llm",), f"llm was changed by {APPLY} until ", id="its own"),
        pytest.param(("gateway",), f"it began after {APPLY} changed gateway ", id="one it needs"),
        pytest.param(("billing",), "", id="another one"),
    ],
)
async def test_a_service_that_somebody_else_changed_asks_where_it_matters(
    tmp_path: Path, services: tuple[str, ...], asks: str
) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        inventory(world, NEEDS_GATEWAY)
        await changed(world, services=services)
        await world.elapse(60)
        await world.fire()
        if asks:
            assert asks in await asked(world)
        else:
            assert world.mend.done("restart") == 1


async def test_what_was_changed_long_ago_or_elsewhere_asks_nobody(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        inventory(
            world,
            NEEDS_GATEWAY.replace(
                "gpu-08: {kind: host, service: llm", "gpu-08: {kind: host, service: billing"
            ),
        )
        await changed(world, "gpu-07")
        await world.elapse(30 * 60)
        await changed(world, "gpu-08")
        await world.fire()
        assert world.mend.done("restart") == 1


async def test_it_counts_for_no_limit(tmp_path: Path) -> None:
    """One run may begin, and the change of somebody else is none."""
    async with a_world(tmp_path, mode="auto", rules=TWO_RULES) as world:
        world.policy("language: 1\nlimits: {changes: {per: overall, max: 1, within: 30m}}\n")
        await changed(world, "gpu-08", services=("llm",))
        await world.fire()
        assert await asked(world)
        await approve(world)
        assert world.mend.done("restart") == 1
        world.look.will("serves", BAD)
        await world.fire("Slow", instance="gpu-08:9100")
        (held,) = await world.told(events.RunHeldBack, "slow")
        assert held.guard == "changes", "while a run is one"
