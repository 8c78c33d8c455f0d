"""An engine whose parts hang: healthz fails, quell's own alert is raised, people are told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from engine.app import Engine, open_engine
from engine.app.watches import PIPELINE, WORKER
from engine.core.progress import STALLED_S
from engine.core.records import encode_alert
from engine.ports.rows import Task, TaskKind
from engine.ports.store import Tx
from engine.ports.stream import Message
from engine.settings import load_settings
from engine.stages.watching import LOOK_EVERY_S, MEND_AFTER_S
from tests.doubles.declarations import firing
from tests.doubles.emergency_receiver import EmergencyReceiver
from tests.doubles.virtual_time import VirtualClock, until

SCHEDULED: tuple[TaskKind, ...] = ("checkpoint", "housekeeping")


@dataclass
class Running:
    """An engine with some of its loops at work, and its watches on a clock of the test's."""

    engine: Engine
    clock: VirtualClock

    async def looks(self, seconds: float) -> None:
        watches = self.engine.watches
        for _ in range(round(seconds / LOOK_EVERY_S)):
            await watches.watch.look()
            await watches.alarms.look()
            if watches.emergency is not None:
                await watches.emergency.look()
            self.clock.advance(LOOK_EVERY_S)

    async def append(self, key: str = "llm-70b") -> int:
        """One record; its partition."""
        alert = firing("Odd", service="llm-70b")
        await self.engine.stream.append([Message(key, encode_alert(alert))])
        return self.engine.stream.partition_of(key)

    async def decided(self) -> int:
        balance = await self.engine.queries.balance()
        return balance.records

    def problems(self) -> list[str]:
        return self.engine.parts.alive()


@pytest.fixture
def receiver() -> Iterator[EmergencyReceiver]:
    with EmergencyReceiver().running() as receiver:
        yield receiver


def _cancel(tx: Tx, kind: TaskKind) -> None:
    tx.cancel_task(kind, kind)


@asynccontextmanager
async def running(folder: Path, receiver: EmergencyReceiver, *loops: str) -> AsyncIterator[Running]:
    file = folder / "quell.yaml"
    settings = {"listen": "127.0.0.1:0", "data": "data", **receiver.settings}
    file.write_text(yaml.safe_dump(settings))
    async with open_engine(load_settings(file, {})) as engine, asyncio.TaskGroup() as group:
        made = {PIPELINE: engine.pipeline.run, WORKER: engine.tasks.run}
        kept = [group.create_task(engine.watches.kept.keep(name, made[name])) for name in loops]
        # Due at each start; without workers it would be what nobody takes.
        for kind in SCHEDULED:
            await engine.store.write(partial(_cancel, kind=kind))
        clock, watches = VirtualClock(), engine.watches
        watches.watch.clock = watches.alarms.clock = clock
        assert watches.emergency is not None
        watches.emergency.clock = clock
        try:
            yield Running(engine, clock)
        finally:
            for each in kept:
                each.cancel()


async def test_a_pipeline_that_hangs_fails_healthz_and_the_emergency_address_is_told(
    tmp_path: Path, receiver: EmergencyReceiver
) -> None:
    async with running(tmp_path, receiver, PIPELINE) as site:
        await until(lambda: bool(site.engine.pipeline.assigned))
        assert site.problems() == []
        await site.engine.pipeline.finish()  # as if a batch never came to its end
        partition = await site.append()
        await site.looks(STALLED_S + LOOK_EVERY_S)
        (problem,) = site.problems()
        assert problem.startswith(f"partition {partition}: 1 record waiting, and none was taken")
        # The alert waits as well: no partition moves, so no incident can tell anybody.
        await site.looks(STALLED_S)
        assert sum((await site.engine.stream.end_offsets()).values()) > 1
        (told,) = receiver.texts
        assert f"partition {partition}: 1 record" in told
        assert "and nothing else is decided. Restart it" in told


async def test_a_loop_that_hangs_begins_anew_and_decides(
    tmp_path: Path, receiver: EmergencyReceiver
) -> None:
    async with running(tmp_path, receiver, PIPELINE) as site:
        pipeline = site.engine.pipeline
        await until(lambda: bool(pipeline.assigned))
        before = pipeline._subscription
        await pipeline.finish()
        await site.append()
        await site.looks(MEND_AFTER_S + 2 * LOOK_EVERY_S)
        pipeline._deciding.release()
        await until(lambda: pipeline._subscription not in (None, before))
        async with asyncio.timeout(10):
            while await site.decided() == 0:
                pass
        await site.looks(LOOK_EVERY_S)
        assert site.problems() == []
        assert receiver.texts == []


async def test_a_stall_elsewhere_is_an_incident_but_no_fault_of_a_process_without_a_pipeline(
    tmp_path: Path, receiver: EmergencyReceiver
) -> None:
    async with running(tmp_path, receiver) as site:
        await site.append()
        await site.looks(STALLED_S + LOOK_EVERY_S)
        assert site.problems() == []
        assert [each.is_stalled for each in site.engine.watches.watch.standing.values()].count(
            True
        ) == 1


async def test_workers_that_take_nothing_fail_healthz_and_are_told_at_once(
    tmp_path: Path, receiver: EmergencyReceiver
) -> None:
    async with running(tmp_path, receiver, WORKER) as site:
        engine = site.engine
        await engine.tasks.finish()  # as if the loop hung before its next claim
        await engine.store.write(
            lambda tx: tx.put_task(Task("message", "m", tx.now, 1, {"incident_id": "i"}))
        )
        await site.looks(STALLED_S + 2 * LOOK_EVERY_S)
        (problem,) = site.problems()
        assert problem.startswith("tasks: ")
        (told,) = receiver.texts
        assert "messages are tasks too" in told


async def test_a_full_stream_makes_it_unready_and_not_unwell(
    tmp_path: Path, receiver: EmergencyReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.store import disk

    async with running(tmp_path, receiver, PIPELINE) as site:
        await site.looks(LOOK_EVERY_S)
        assert await site.engine.parts.ready() == []
        monkeypatch.setattr(disk, "KEPT_FREE_BYTES", 10**18)
        await site.looks(STALLED_S + 2 * LOOK_EVERY_S)
        (problem,) = await site.engine.parts.ready()
        assert problem.startswith("stream: the disk of ")
        assert site.problems() == []
        (told,) = receiver.texts
        assert "it can keep no alert" in told
