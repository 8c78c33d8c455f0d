"""The outbox: what was committed is told, at least once, and the newest state last."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typing_extensions import override

from engine.core import events
from engine.core.incident import chain_of
from engine.errors import PermanentError, TransientError
from engine.ports.recording import record
from engine.ports.rows import TaskKind
from engine.ports.store import Store, Tx
from engine.stages.publishing import PublishStage
from engine.stages.tasks import Handler, TaskLoop
from engine.store.sqlite_store import SqliteStore
from tests.doubles.virtual_time import until
from tests.doubles.world import LEASE_S, World, a_world, approve
from tests.doubles.written import RULES

T = TypeVar("T")

# Without the rule that observes: an alert opens one incident.
ONE_RULE = RULES[: RULES.index("  - id: watched")] + RULES[RULES.index("  - id: down") :]
OTHERS: tuple[TaskKind, ...] = ("run", "message", "postmortem", "ticket", "tick")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """One whose incidents others follow."""
    async with a_world(tmp_path, rules=ONE_RULE, publishes=True) as opened:
        yield opened


async def fire(world: World) -> None:
    """An incident opens and waits for an approval; nothing of it is published yet."""
    await world.intake.accept("alertmanager", [world.alert()], 0)
    await world.settle(*OTHERS)


def told(world: World) -> list[dict[str, Any]]:
    """The states that were published, oldest first."""
    return [json.loads(each.value)["data"] for each in world.publisher.published]


async def newest(world: World) -> int:
    incident = await world.incident()
    seq, _ = await world.store.read(lambda tx: tx.head(chain_of(incident.id)))
    return seq


@asynccontextmanager
async def working(world: World, handler: Handler) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        loop = TaskLoop(
            world.store,
            world.clock,
            "w",
            {"publish": handler},
            world.metrics,
            fenced={"publish": world.publishing.publish_again},
            concurrent=1,
        )
        task = group.create_task(loop.run())
        try:
            yield
        finally:
            task.cancel()


async def test_a_story_that_settled_is_told_once_and_again_after_a_change(world: World) -> None:
    await fire(world)
    assert list(await world.tasks("publish")) == [f"publish/{(await world.incident()).id}"]
    await world.settle("publish")
    (state,) = told(world)
    assert (state["status"], state["phase"]) == ("open", "awaiting_approval")
    assert state["open_occurrences"] == 1
    assert await world.tasks("publish") == {}

    world.publisher.published.clear()
    await approve(world)
    await world.elapse(60)
    await world.resolve()
    last = told(world)[-1]
    assert (last["status"], last["outcome"]) == ("resolved", "succeeded")
    assert last["revision"] == await newest(world)
    revisions = [each["revision"] for each in told(world)]
    assert revisions == sorted(set(revisions))


async def test_the_key_is_the_incident_and_the_revision_its_newest_entry(world: World) -> None:
    await fire(world)
    await world.settle("publish")
    (message,) = world.publisher.published
    assert message.key == (await world.incident()).id
    assert told(world)[0]["revision"] == await newest(world)


async def test_what_changes_nothing_for_others_is_not_told(world: World) -> None:
    await fire(world)
    await world.settle("publish")
    incident = await world.incident()
    quiet: list[events.Event] = [events.MessageSent(notifier="chat", ref="1", revision=1)]
    await world.store.write(lambda tx: record(tx, incident, quiet, world.author()))
    assert await world.tasks("publish") == {}


async def test_a_topic_that_is_away_is_waited_for_and_gets_the_newest(world: World) -> None:
    world.publisher.faults = [TransientError("no broker"), TransientError("no broker")]
    await fire(world)
    async with working(world, world.publishing.publish):
        for failures in (1, 2):
            async with asyncio.timeout(10):
                while [t.failures for t in (await world.tasks("publish")).values()] != [failures]:
                    await asyncio.sleep(0)
            world.clock.advance(4)
            await world.ring()
        await until(lambda: len(world.publisher.published) == 1)
    text = world.metrics.text().decode()
    assert 'quell_task_failures_total{kind="publish"} 2.0' in text
    assert 'quell_published_total{outcome="published"} 1.0' in text


async def test_an_engine_that_died_after_the_commit_is_made_up_for(world: World) -> None:
    """The task is in the database with the entry: whoever comes next publishes it."""
    await fire(world)
    store = SqliteStore(world.folder / "quell.db", world.clock)
    await store.open()
    stage = PublishStage(store, world.publisher, world.metrics)
    task = await store.write(lambda tx: tx.claim_task("next", LEASE_S, ["publish"]))
    assert task is not None
    await stage.publish(task)
    await store.close()
    assert [each["phase"] for each in told(world)] == ["awaiting_approval"]


class KilledError(Exception):
    """The process is gone."""


@dataclass
class DyingStore(Store):
    """Its process is killed at the first commit."""

    store: Store

    @override
    async def write(self, work: Callable[[Tx], T]) -> T:
        raise KilledError

    @override
    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self.store.read(work)

    @override
    async def wait_for_work(self, timeout_s: float) -> None:
        await self.store.wait_for_work(timeout_s)


async def test_an_engine_that_died_after_publishing_tells_the_same_event_again(
    world: World,
) -> None:
    await fire(world)
    dying = PublishStage(DyingStore(world.store), world.publisher, world.metrics)
    with pytest.raises(KilledError):
        await dying.publish(await world.claimed("publish"))
    world.clock.advance(LEASE_S)
    await world.publishing.publish(await world.claimed("publish", worker="next"))
    first, second = world.publisher.published
    assert first == second


async def test_what_is_refused_for_good_is_logged_and_counted_and_does_not_come_again(
    world: World,
) -> None:
    world.publisher.faults = [PermanentError("the record is too large")]
    await fire(world)
    await world.settle("publish")
    assert await world.tasks("publish") == {}
    (refused,) = [log for log in world.logs if log["event"] == "publish_refused"]
    assert refused["error"] == "the record is too large"
    assert 'quell_published_total{outcome="refused"} 1.0' in world.metrics.text().decode()
    await world.resolve()
    assert told(world)[-1]["status"] == "resolved", "later states are told"


async def test_a_state_that_was_told_too_late_does_not_stay_the_last(world: World) -> None:
    """A process stood still between its look and its append, and another one took over."""
    await fire(world)

    async def overtaken() -> None:
        world.publisher.before = None
        world.clock.at += timedelta(seconds=LEASE_S)
        await world.intake.accept("alertmanager", [world.alert(status="resolved")], 0)
        await world.consume()
        await world.publishing.publish(await world.claimed("publish", worker="quick"))

    world.publisher.before = overtaken
    async with working(world, world.publishing.publish):
        await until(lambda: len(told(world)) == 3)
    assert [each["status"] for each in told(world)] == ["resolved", "open", "resolved"]


async def test_without_followers_no_entry_brings_a_task(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        await fire(world)
        await world.resolve()
        assert await world.tasks("publish") == {}
        assert world.publisher.published == []


async def test_without_a_publisher_what_another_configuration_left_is_done_with(
    world: World,
) -> None:
    await fire(world)
    stage = PublishStage(world.store, None, world.metrics)
    await stage.publish(await world.claimed("publish"))
    assert await world.tasks("publish") == {}
    assert "quell_published_total{" not in world.metrics.text().decode()


async def test_a_topic_that_is_away_holds_no_slot_of_other_work(world: World) -> None:
    """Two loops: what one can't claim doesn't keep it awake, nor from what it can."""
    held = asyncio.Event()

    async def wait(_: object) -> None:
        await held.wait()

    done: list[str] = []

    async def work(task: Any) -> None:
        await world.store.write(lambda tx: tx.finish_task(task))
        done.append(task.key)

    await fire(world)
    loop = TaskLoop(world.store, world.clock, "w", {"run": work}, world.metrics)
    async with working(world, wait), asyncio.TaskGroup() as group:
        others = group.create_task(loop.run())
        await world.store.write(lambda tx: tx.wake_task("run", "nothing"))
        incident = await world.incident()
        await world.store.write(lambda tx: tx.wake_task("run", incident.run_id))
        await until(lambda: done == [incident.run_id])
        others.cancel()
