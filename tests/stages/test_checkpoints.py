"""A checkpoint a minute over what was appended, and its copies before the next one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from engine.core import events
from engine.core.audit_export import read_copies, verify_export
from engine.core.checkpoint import CHAIN, checkpoint_of
from engine.core.journal import NewEntry
from engine.errors import FencedError, PermanentError, TransientError
from engine.ports.metrics import Metrics
from engine.ports.rows import Task
from engine.ports.signer import CheckpointCopy
from engine.ports.store import Store, Tx
from engine.stages import checkpoints as stage_module
from engine.stages.checkpoints import CHECKPOINT_EVERY, CheckpointStage, schedule_checkpoints
from engine.stages.queries import QueryStage
from engine.store.embedded_stream import EmbeddedStream
from tests.doubles.journals import KeyDouble, knowing
from tests.doubles.virtual_time import START
from tests.doubles.world import LEASE_S, World

KEY = KeyDouble()


@dataclass
class CopyDouble(CheckpointCopy):
    """A place in memory; `fault` is raised instead, and `held` keeps a write from ending."""

    lines: bytes = b""
    fault: TransientError | PermanentError | None = None
    held: asyncio.Event | None = None

    @property
    @override
    def name(self) -> str:
        return "/mnt/other"

    @override
    async def last_seq(self) -> int:
        copies, _ = read_copies(self.lines.splitlines(keepends=True))
        return copies[-1].seq if copies else 0

    @override
    async def append(self, lines: bytes) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.fault is not None:
            raise self.fault
        self.lines += lines

    @override
    async def close(self) -> None:
        pass

    @property
    def numbers(self) -> list[int]:
        copies, notes = read_copies(self.lines.splitlines(keepends=True))
        assert notes == []
        found = [checkpoint_of(each) for each in copies]
        return [each.number for each in found if each is not None]


@dataclass
class Minutes:
    """The task, executed when it is due, over a world."""

    world: World
    copy: CopyDouble = field(default_factory=CopyDouble)
    key: KeyDouble | None = KEY

    @property
    def stage(self) -> CheckpointStage:
        return CheckpointStage(self.world.store, self.key, [self.copy], self.world.metrics)

    async def task(self, worker: str = "w") -> Task:
        found = await self.world.store.write(
            lambda tx: tx.claim_task(worker, LEASE_S, ["checkpoint"])
        )
        assert found is not None, "the task isn't due"
        return found

    async def is_due(self) -> bool:
        due = await self.world.store.read(lambda tx: tx.next_due(["checkpoint"]))
        return due is not None and due <= self.world.clock.now()

    async def pass_by(self, count: int = 1) -> None:
        """So many minutes: at the end of each the task is executed."""
        for _ in range(count):
            self.world.clock.advance(CHECKPOINT_EVERY.total_seconds())
            await self.stage.sign(await self.task())

    async def note(self, chain: str, *texts: str) -> None:
        new = [
            NewEntry(events.IncidentAcknowledged(note=each), self.world.clock.now())
            for each in texts
        ]
        await self.world.store.write(lambda tx: tx.append(chain, new))

    async def made(self) -> list[events.CheckpointSigned]:
        entries = await self.world.store.read(lambda tx: tx.entries(CHAIN))
        return [made for each in entries if (made := checkpoint_of(each)) is not None]

    async def heads(self) -> list[list[tuple[str, int]]]:
        return [[(chain, seq) for chain, seq, _ in each.heads] for each in await self.made()]


@pytest.fixture
async def minutes(world: World) -> AsyncIterator[Minutes]:
    await world.store.write(schedule_checkpoints)
    yield Minutes(world)


async def test_each_minute_names_what_grew_since_the_one_before(minutes: Minutes) -> None:
    await minutes.note("incident/a", "one", "two")
    await minutes.note(CHAIN, "installation")
    await minutes.pass_by()
    await minutes.note("incident/b", "one")
    await minutes.note("incident/a", "three")
    await minutes.pass_by()
    assert await minutes.heads() == [
        [("incident/a", 2), (CHAIN, 1)],
        [("incident/a", 3), ("incident/b", 1)],
    ]
    outcome = verify_export([line async for line in minutes.world.queries.export_audit()])
    assert outcome.faults == ()


async def test_nothing_is_made_when_nothing_changed(minutes: Minutes) -> None:
    await minutes.pass_by(2)
    assert await minutes.made() == []
    await minutes.note("incident/a", "one")
    await minutes.pass_by(5)
    assert [each.number for each in await minutes.made()] == [1]
    assert minutes.world.metrics.checkpoints._value.get() == 1


async def test_it_comes_back_each_minute_whether_or_not_it_made_one(minutes: Minutes) -> None:
    assert await minutes.is_due()
    await minutes.stage.sign(await minutes.task())
    assert not await minutes.is_due()
    minutes.world.clock.advance(59)
    assert not await minutes.is_due()
    minutes.world.clock.advance(1)
    assert await minutes.is_due()


async def test_it_verifies_by_its_key_and_covers_all(minutes: Minutes) -> None:
    await minutes.world.fire()
    await minutes.pass_by()
    lines = [line async for line in minutes.world.queries.export_audit()]
    outcome = verify_export(lines, knowing(KEY))
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 1, 0)
    report = await minutes.world.queries.verify_audit()
    assert (report.faults, report.checkpoints, report.verified_checkpoint) == ((), 1, 0)


async def test_without_a_key_it_is_chained_but_unsigned(minutes: Minutes) -> None:
    minutes.key = None
    await minutes.note("incident/a", "one")
    await minutes.pass_by()
    (made,) = await minutes.made()
    assert (made.key_id, made.signature) == ("", "")
    report = await minutes.world.queries.verify_audit()
    assert "1 of 1 checkpoints are not signed" in report.notes


async def test_more_chains_than_one_checkpoint_holds_go_into_several_at_once(
    minutes: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "MAX_HEADS", 2)
    for name in "abcde":
        await minutes.note(f"incident/{name}", "one")
    await minutes.pass_by()
    assert [[chain for chain, _ in heads] for heads in await minutes.heads()] == [
        ["incident/a", "incident/b"],
        ["incident/c", "incident/d"],
        ["incident/e"],
    ]
    assert minutes.copy.numbers == [1, 2, 3]


async def test_copies_are_written_before_the_next_one_is_made(minutes: Minutes) -> None:
    await minutes.note("incident/a", "one")
    await minutes.pass_by()
    assert minutes.copy.numbers == [1]
    # A crash between journal and copy: the next execution repeats the copy alone.
    minutes.copy.lines = b""
    await minutes.pass_by()
    assert minutes.copy.numbers == [1]
    assert len(await minutes.made()) == 1


@pytest.mark.parametrize(
    "fault", [TransientError("no space left on device"), PermanentError("too large")]
)
async def test_a_copy_that_cannot_be_written_is_counted_and_made_good_later(
    minutes: Minutes, fault: TransientError | PermanentError
) -> None:
    await minutes.note("incident/a", "one")
    await minutes.pass_by()
    minutes.copy.fault = fault
    for text in ("two", "three"):
        await minutes.note("incident/a", text)
        await minutes.pass_by()
    failures = minutes.world.metrics.checkpoint_copy_failures.labels(copy="/mnt/other")
    assert failures._value.get() == 3  # after each new one, and before the second
    assert len(await minutes.made()) == 3
    minutes.copy.fault = None
    await minutes.pass_by()
    assert minutes.copy.numbers == [1, 2, 3]


async def test_a_place_that_hangs_does_not_keep_checkpoints_waiting(
    minutes: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "COPY_WITHIN_S", 0.05)
    minutes.copy.held = asyncio.Event()
    await minutes.note("incident/a", "one")
    await minutes.pass_by()
    assert len(await minutes.made()) == 1
    assert not await minutes.is_due()


async def test_a_new_place_begins_with_the_newest(minutes: Minutes) -> None:
    for text in ("one", "two"):
        await minutes.note("incident/a", text)
        await minutes.pass_by()
    minutes.copy = CopyDouble()
    await minutes.pass_by()
    assert minutes.copy.numbers == [2]
    await minutes.note("incident/a", "three")
    await minutes.pass_by()
    assert minutes.copy.numbers == [2, 3]


async def test_who_lost_the_lease_makes_none(minutes: Minutes) -> None:
    await minutes.note("incident/a", "one")
    late = await minutes.task("slow")
    minutes.world.clock.advance(LEASE_S + 1)
    await minutes.stage.sign(await minutes.task("quick"))
    await minutes.note("incident/a", "two")
    with pytest.raises(FencedError):
        await minutes.stage.sign(late)
    assert len(await minutes.made()) == 1


async def test_entries_that_come_between_look_and_append_are_not_passed_over(
    minutes: Minutes,
) -> None:
    """Of its own chain too: the head that a checkpoint names there is the entry before it."""
    await minutes.note("incident/a", "one")
    task, stage = await minutes.task(), minutes.stage
    grown = await minutes.world.store.read(lambda tx: tx.grown_chains(10))
    await minutes.note(CHAIN, "between")
    await minutes.note("incident/a", "between")
    assert await minutes.world.store.write(lambda tx: stage._append(task, grown, tx))
    assert await minutes.heads() == [[("incident/a", 1), (CHAIN, 1)]]
    await minutes.stage.sign(task)
    assert (await minutes.heads())[1:] == [[("incident/a", 2)]]
    lines = [line async for line in minutes.world.queries.export_audit()]
    assert verify_export(lines, knowing(KEY)).faults == ()


class _AnotherShape(events.IncidentAcknowledged):
    """Under the kind of a checkpoint, as damage or a forger would leave it."""

    KIND = events.CheckpointSigned.KIND


async def test_a_last_checkpoint_that_cannot_be_read_stops_them_loudly(minutes: Minutes) -> None:
    broken = _AnotherShape()
    await minutes.world.store.write(
        lambda tx: tx.append(CHAIN, [NewEntry(broken, minutes.world.clock.now())])
    )
    await minutes.note("incident/a", "one")
    with pytest.raises(PermanentError, match="audit verify"):
        await minutes.pass_by()


async def test_scheduling_again_leaves_one_task_that_is_due(minutes: Minutes) -> None:
    await minutes.stage.sign(await minutes.task())
    await minutes.world.store.write(schedule_checkpoints)
    assert await minutes.is_due()

    def count(tx: Tx) -> int:
        return tx.waiting_tasks()["checkpoint"]

    assert await minutes.world.store.read(count) == 1
    assert timedelta(seconds=60) == CHECKPOINT_EVERY


async def test_a_long_journal_is_exported_whole_and_in_order(minutes: Minutes) -> None:
    for number in range(45):
        await minutes.note(f"incident/{number:02}", "one")
    await minutes.note("incident/20", *map(str, range(450)))
    await minutes.note("zone/last", "one")
    for _ in range(3):
        await minutes.note(CHAIN, *map(str, range(100)))
        await minutes.pass_by()
    lines = [line async for line in minutes.world.queries.export_audit()]
    outcome = verify_export(lines, knowing(KEY))
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 3, 0)
    assert (outcome.chains, outcome.entries) == (47, 45 + 450 + 1 + 303)


async def test_a_journal_that_grows_during_the_export_still_verifies(minutes: Minutes) -> None:
    for name in ("incident/a", "incident/b"):
        await minutes.note(name, *map(str, range(250)))
    await minutes.pass_by()
    lines: list[bytes] = []
    async for line in minutes.world.queries.export_audit():
        if len(lines) % 100 == 0:
            await minutes.note("incident/a", "more")
            await minutes.note("incident/b", "more")
            await minutes.note(CHAIN, "more")
            await minutes.pass_by()
        lines.append(line)
    outcome = verify_export(lines, knowing(KEY))
    assert (outcome.faults, outcome.verified > 0) == ((), True)


async def test_the_copy_of_another_disk_is_what_an_export_is_checked_with(
    minutes: Minutes, tmp_path: Path
) -> None:
    await minutes.world.fire()
    await minutes.pass_by()
    held, _ = read_copies(minutes.copy.lines.splitlines(keepends=True))
    lines = [line async for line in minutes.world.queries.export_audit()]
    outcome = verify_export(lines, None, held)
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 1, 0)


async def test_writers_and_checkpoints_side_by_side_leave_a_journal_that_verifies(
    store: Store, tmp_path: Path
) -> None:
    """On each database: whatever is appended while a checkpoint is made."""
    copy = CopyDouble()
    stage = CheckpointStage(store, KEY, [copy], Metrics())
    await store.write(schedule_checkpoints)

    async def write(chain: str) -> None:
        for number in range(15):
            new = [NewEntry(events.IncidentAcknowledged(note=str(number)), START)]
            await store.write(lambda tx: tx.append(chain, new))  # noqa: B023 - awaited at once

    async def sign() -> None:
        for _ in range(10):
            await store.write(lambda tx: tx.wake_task("checkpoint", "checkpoint"))
            task = await store.write(lambda tx: tx.claim_task("w", LEASE_S, ["checkpoint"]))
            assert task is not None
            await stage.sign(task)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for chain in ("incident/a", "incident/b", CHAIN):
            group.create_task(write(chain))
        group.create_task(sign())
    await sign()
    queries = QueryStage(store, EmbeddedStream(tmp_path / "s.db"), lambda: (0, 0, 0))
    lines = [line async for line in queries.export_audit()]
    held, _ = read_copies(copy.lines.splitlines(keepends=True))
    outcome = verify_export(lines, knowing(KEY), held)
    assert (outcome.faults, outcome.notes, outcome.uncovered) == ((), (), 0)
    assert copy.numbers == list(range(1, outcome.checkpoints + 1))
