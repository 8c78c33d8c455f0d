"""The world outside of quell: a stream that redelivers, and a target that counts every effect."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core.actions import (
    Call,
    Declaration,
    Effect,
    Estate,
    Prepared,
    ProbeAnswer,
    Repeat,
    Result,
)
from engine.core.json_value import Json, JsonObject
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.stream import Batch, Message, Positions, Record
from tests.doubles.scripted import BAD, FAILED, OK
from tests.simulation.inline_store import CRASH, ring
from tests.simulation.scheduler import Process, Scheduler

PARTITIONS = 2
# How long a command may be under way beyond its own bound.
CLEAN_UP_S = 10.0
LOST_ACK = "append without an answer"
STREAM_AWAY = "stream away"
LOST_BATCH = "batch lost with its consumer"
REDELIVERED = "batch redelivered"
LATE_EFFECT = "effect after its caller"
LOST_REPLY = "reply of a change lost"
# The hosts that fail more often than not: a loop has to do without one of them.
WEAK = ("gpu-09", "gpu-10")

# How an unknown outcome of each change may be treated.
REPEATS = {
    "restart": Repeat.PROBE,
    "jolt": Repeat.PROBE,
    "swap": Repeat.PROBE,
    "warm": Repeat.KEYED,
    "tidy": Repeat.NEVER,
    "undo": Repeat.PROBE,
    "drain": Repeat.PROBE,
    "keep": Repeat.HARMLESS,
    "hang_up": Repeat.PROBE,
}


# What is too far gone to be signalled.
INSISTS = ("warm", "keep")
# How often each makes a host serve again; one of them doesn't help for long.
MENDS = {"restart": 0.75, "jolt": 0.6, "swap": 0.2}
SHORT_LIVED = "jolt"
SERVES_FOR_S = 25.0


@dataclass
class Log:
    """The records of both partitions, durable as soon as they are appended."""

    scheduler: Scheduler
    records: list[list[Record]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    bells: list[asyncio.Future[str]] = field(default_factory=list)

    def append(self, messages: Sequence[Message]) -> None:
        for message in messages:
            partition = partition_of(message.key)
            place = self.records[partition]
            place.append(Record(partition, len(place), message.key, message.value))
        ring(self.bells)


def partition_of(key: str) -> int:
    return sum(key.encode()) % PARTITIONS


@dataclass
class MemoryStream:
    """The log as one process reaches it; several consume the same partitions, as in a rebalance."""

    log: Log
    process: Process
    name: str = "memory"

    async def append(self, messages: Sequence[Message]) -> None:
        scheduler = self.log.scheduler
        fault = await scheduler.gate(self.process, "append", STREAM_AWAY, LOST_ACK)
        if fault == STREAM_AWAY:
            raise TransientError("the stream can't take records now: simulated")
        self.log.append(messages)
        if fault == LOST_ACK:
            raise TransientError("the append got no answer: simulated")

    def partition_of(self, key: str) -> int:
        return partition_of(key)

    @asynccontextmanager
    async def subscribe(
        self, positions: Positions, *, max_records: int
    ) -> AsyncIterator["_Subscription"]:
        known = await positions(range(PARTITIONS))
        yield _Subscription(self.log, self.process, dict(known))

    async def end_offsets(self) -> Mapping[int, int]:
        return {each: len(records) for each, records in enumerate(self.log.records)}

    async def check(self) -> None:
        """It is there."""


@dataclass
class _Subscription:
    log: Log
    process: Process
    cursors: dict[int, int]

    @property
    def assigned(self) -> frozenset[int]:
        return frozenset(self.cursors)

    async def batches(self) -> AsyncIterator[Batch]:
        scheduler = self.log.scheduler
        while True:
            behind = [p for p in self.cursors if self.cursors[p] < len(self.log.records[p])]
            if not behind:
                await scheduler.sleep_until(self.process, None, self.log.bells)
                continue
            partition = scheduler.random.choice(behind)
            begin = self.cursors[partition]
            fault = await scheduler.gate(self.process, "batch", LOST_BATCH, REDELIVERED, CRASH)
            if fault == CRASH:
                self.process.crash()
                raise asyncio.CancelledError
            if fault == LOST_BATCH:
                raise TransientError("the consumer lost its broker: simulated")
            if fault == REDELIVERED:
                begin = max(begin - 2, 0)
            end = begin + scheduler.random.randint(1, 4)
            batch = Batch(partition, self.log.records[partition][begin:end])
            self.cursors[partition] = batch.next_offset
            yield batch

    def end(self, partition: int) -> int:
        return len(self.log.records[partition])

    async def ahead(self, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        return self.log.records[partition][offset : offset + max_records]

    async def rewind(self, partition: int, offset: int) -> None:
        self.cursors[partition] = offset


@dataclass(frozen=True, slots=True)
class Landed:
    """One effect on the target, counted on its own side."""

    attempt_id: str
    what: str
    host: str
    at: datetime


@dataclass
class Target:
    """The hosts: what changed them, what is still under way, and whether they serve."""

    scheduler: Scheduler
    landed: list[Landed] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    serving: set[str] = field(default_factory=set)
    on_effect: Callable[[Landed], None] = lambda _: None
    on_probe: Callable[[str], None] = lambda _: None

    def knows(self, attempt_id: str) -> bool:
        """Whether a change that isn't keyed was begun under this id."""
        begun = [*self.under_way, *(each.attempt_id for each in self.landed)]
        return attempt_id in begun and attempt_id not in self.keys

    def land_later(self, call: Call, delay_s: float) -> None:
        """The command is under way, and nothing that happens to its caller stops it."""
        assert delay_s <= call.timeout_s + CLEAN_UP_S
        self.under_way.append(call.attempt_id)
        due = self.scheduler.at + timedelta(seconds=delay_s)
        self.scheduler.events.append((due, lambda: self._land(call)))

    def land(self, call: Call) -> None:
        """The command has its effect now."""
        self.under_way.append(call.attempt_id)
        self._land(call)

    def _land(self, call: Call) -> None:
        self.under_way.remove(call.attempt_id)
        what, host = str(call.prepared.payload["what"]), str(call.prepared.payload["host"])
        if call.attempt_id in self.keys:
            return
        if REPEATS[what] is Repeat.KEYED:
            self.keys.add(call.attempt_id)
        effect = Landed(call.attempt_id, what, host, self.scheduler.at)
        self.landed.append(effect)
        self.scheduler.tell(f"target: {what} on {host} by {call.attempt_id[:8]}")
        if what in MENDS and self.scheduler.random.random() < MENDS[what]:
            self.serving.add(host)
            if what == SHORT_LIVED:
                over = self.scheduler.at + timedelta(seconds=SERVES_FOR_S)
                self.scheduler.events.append((over, lambda: self.serving.discard(host)))
        self.on_effect(effect)


@dataclass
class Lab:
    """The actions of one process against the shared target; a crash may come at each await."""

    declaration: Declaration
    target: Target
    process: Process

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        (effect,) = self.declaration.effects
        reads = effect is Effect.READ
        return Prepared(
            effect=effect,
            repeat=Repeat.HARMLESS if reads else REPEATS[str(inputs["what"])],
            connection="",
            targets=(str(inputs["host"]),),
            description=f"{inputs['host']}$ {inputs['what']}",
            payload=dict(inputs),
        )

    async def look(self, call: Call) -> JsonObject:
        scheduler = self.target.scheduler
        if scheduler.chance(0.5):
            await scheduler.sleep(self.process, 8.0)
        await self._await(f"look of {call.prepared.payload['what']}")
        return {"seen": len(self.target.landed)}

    async def execute(self, call: Call) -> Result:
        what, host = str(call.prepared.payload["what"]), str(call.prepared.payload["host"])
        if self.declaration.effects == {Effect.READ}:
            await self._await(what)
            return OK if what != "serves" or host in self.target.serving else BAD
        return await self._change(call, what)

    async def _change(self, call: Call, what: str) -> Result:
        scheduler = self.target.scheduler
        if call.prepared.payload["host"] in WEAK and scheduler.chance(0.5):
            return FAILED
        luck = scheduler.random.random() if scheduler.chaos else 1.0
        if luck < 0.06:
            raise TransientError("refused before it began: simulated")
        if luck < 0.1:
            raise PermanentError("not permitted: simulated")
        if luck < 0.2:
            # The caller hears nothing; the command may still be under way, within its bound.
            scheduler.fault(LOST_REPLY, what)
            if luck < 0.16:
                scheduler.fault(LATE_EFFECT, what)
                self.target.land_later(
                    call, scheduler.random.uniform(0, call.timeout_s + CLEAN_UP_S)
                )
            await scheduler.sleep(self.process, scheduler.random.choice((0.0, call.timeout_s)))
            raise OutcomeUnknownError("no answer in time: simulated")
        duration_s = scheduler.random.choice((0.0, 0.0, 1.0, 8.0))
        if luck < 0.28:
            await scheduler.sleep(self.process, duration_s)
            return FAILED
        if duration_s:
            self.target.land_later(call, duration_s)
            try:
                await scheduler.sleep(self.process, duration_s)
            except asyncio.CancelledError:
                if self.process.dead or what not in INSISTS:
                    raise
                # It ends all the same, right away, and tells so.
        else:
            self.target.land(call)
        await self._await(f"answer of {what}")
        # Done, and not as well as hoped: what follows may ask that.
        return BAD if what == "warm" and scheduler.chance(0.2) else OK

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        await self._await("probe")
        self.target.on_probe(call.attempt_id)
        if self.target.scheduler.chance(0.05):
            return ProbeAnswer.CANNOT_TELL
        if call.attempt_id in self.target.under_way:
            return ProbeAnswer.IN_PROGRESS
        done = any(each.attempt_id == call.attempt_id for each in self.target.landed)
        return ProbeAnswer.DONE if done else ProbeAnswer.NOT_DONE

    async def close(self) -> None:
        """Nothing is open."""

    async def _await(self, what: str) -> None:
        fault = await self.target.scheduler.gate(self.process, what, CRASH)
        if fault == CRASH:
            self.process.crash()
            raise asyncio.CancelledError
