"""A transaction that never ends, over memory: what a replay decides on, as fast as that goes.

What every alert touches is kept in dictionaries; the rest (what waits, and for what) is the store's
own code over a database in memory. Nothing is durable, sealed or masked.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool
from typing_extensions import override

from engine.core.alert import Firing, Occurrence
from engine.core.conditions import GroupState, Hold
from engine.core.events import Event
from engine.core.incident import Incident
from engine.core.journal import Entry, NewEntry, to_us
from engine.core.silences import Silence
from engine.core.switches import Switch
from engine.ports.conditions import ConditionRows, Waiting
from engine.ports.rows import Task, TaskKind
from engine.ports.silences import SilenceRows
from engine.ports.switches import SwitchRows
from engine.store.condition_rows import SqlConditionRows
from engine.store.silence_rows import SqlSilenceRows
from engine.store.tables import METADATA
from engine.store.tx import SqlTx


@dataclass(frozen=True, slots=True)
class _Told(Entry):
    """An entry that nobody will read but the one who made it."""

    told: Event

    @override
    def event(self) -> Event:
        return self.told


class Timers:
    """The timers that are set, by key; `due` takes those of the earliest time."""

    def __init__(self) -> None:
        self._set: dict[str, Task] = {}
        # What was moved or cancelled meanwhile stays here until its old time comes.
        self._times: list[tuple[datetime, int, str]] = []
        self._put = 0

    def put(self, task: Task) -> None:
        """Set it, or move it."""
        self._set[task.key] = task
        self._put += 1
        heappush(self._times, (task.not_before, self._put, task.key))

    def cancel(self, key: str) -> None:
        """It never comes."""
        self._set.pop(key, None)

    @property
    def next_due(self) -> datetime | None:
        """When the earliest comes, None without any."""
        while self._times:
            due, _, key = self._times[0]
            task = self._set.get(key)
            if task is not None and task.not_before == due:
                return due
            heappop(self._times)
        return None

    def take(self) -> Sequence[Task]:
        """All of the earliest time, in the order in which they were set; they are gone then."""
        at, found = self.next_due, []
        while at is not None and self.next_due == at:
            found.append(self._set.pop(heappop(self._times)[2]))
        return found


class MemoryTx(SqlTx):
    """One writer's; `at` is its clock, which its owner moves. Tasks that aren't timers are dropped.

    `occurrences_now`, `incidents_now` and `stories` are what was decided, by fingerprint, id and
    chain; `waited` are the fingerprints that a rule took and made wait at some time.
    """

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.timers = Timers()
        self.occurrences_now: dict[str, Occurrence] = {}
        self.incidents_now: dict[str, Incident] = {}
        self.stories: dict[str, list[tuple[datetime, Event]]] = {}
        self.waited: set[str] = set()
        self._live: dict[str, Incident] = {}
        self._latest: dict[str, str] = {}
        connection = _database()
        super().__init__(connection, lambda: self.at)
        self._conditions_now = _Conditions(self, connection)
        self._silences_now = _NoSilences(connection, lambda: self.at)
        self._switches_now = _Switches()

    def close(self) -> None:
        """Forget all of it."""
        self._connection.close()

    @property
    @override
    def now(self) -> datetime:
        return self.at

    @property
    @override
    def conditions(self) -> ConditionRows:
        return self._conditions_now

    @property
    @override
    def silences(self) -> SilenceRows:
        return self._silences_now

    @property
    @override
    def switches(self) -> SwitchRows:
        return self._switches_now

    @override
    def append(self, chain: str, entries: Sequence[NewEntry]) -> Sequence[Entry]:
        story = self.stories.setdefault(chain, [])
        story.extend((each.at, each.event) for each in entries)
        return [_unsealed(chain, each) for each in entries]

    @override
    def count(self, counts: Mapping[str, int]) -> None:
        """Whoever replays counts for itself."""

    @override
    def occurrences(self, fingerprints: Sequence[str]) -> Mapping[str, Occurrence]:
        known = self.occurrences_now
        return {each: known[each] for each in fingerprints if each in known}

    @override
    def known(
        self, fingerprints: Sequence[str], whole: Set[str]
    ) -> tuple[Mapping[str, Occurrence], Mapping[str, Firing]]:
        return self.occurrences(fingerprints), {}

    @override
    def put_occurrences(self, occurrences: Sequence[Occurrence]) -> None:
        self.occurrences_now.update((each.alert.fingerprint, each) for each in occurrences)

    @override
    def next_incident_number(self) -> int:
        return len(self.incidents_now) + 1

    @override
    def live_incident(self, correlation_key: str) -> Incident | None:
        return self._live.get(correlation_key)

    @override
    def previous_incident(self, correlation_key: str) -> str:
        return self._latest.get(correlation_key, "")

    @override
    def incident(self, incident: str) -> Incident | None:
        return self.incidents_now.get(incident)

    @override
    def put_incident(self, incident: Incident) -> None:
        self.incidents_now[incident.id] = incident
        key = incident.correlation_key
        self._latest[key] = incident.id
        if incident.status != "closed":
            self._live[key] = incident
        elif key in self._live and self._live[key].id == incident.id:
            del self._live[key]

    @override
    def put_task(self, task: Task) -> None:
        if task.kind == "tick":
            self.timers.put(task)

    @override
    def wake_task(self, kind: TaskKind, key: str) -> None:
        """No run is under way."""

    @override
    def cancel_task(self, kind: TaskKind, key: str) -> None:
        self.timers.cancel(key)


class _Conditions(SqlConditionRows):
    def __init__(self, tx: MemoryTx, connection: Connection) -> None:
        super().__init__(connection, lambda: tx.at, reading=False)
        self._tx = tx

    @override
    def group(self, group: str) -> GroupState:
        return self._groups.get(group) or GroupState(group)

    @override
    def put_group(self, state: GroupState) -> None:
        self._groups[state.id] = state

    @override
    def put_holds(self, fingerprint: str, partition_key: str, held: Sequence[Hold]) -> None:
        super().put_holds(fingerprint, partition_key, held)
        if held:
            self._tx.waited.add(fingerprint)

    @override
    def firing_of(self, services: Sequence[str]) -> Sequence[Waiting]:
        return sorted(self._firing(frozenset(services)))

    def _firing(self, services: frozenset[str]) -> Iterator[Waiting]:
        for fingerprint, each in self._tx.occurrences_now.items():
            joined = map(self._tx.incidents_now.get, each.incident_ids if each.is_open else ())
            if any(i is not None and i.status == "open" and i.service in services for i in joined):
                yield Waiting(fingerprint, each.partition_key, "")


class _NoSilences(SqlSilenceRows):
    """Nobody sets one; the policy's hold."""

    @override
    def current(self) -> Sequence[Silence]:
        return ()


class _Switches(SwitchRows):
    def __init__(self) -> None:
        self._on: dict[str, Switch] = {}

    @override
    def find(self, name: str) -> Switch | None:
        return self._on.get(name)

    @override
    def turn_on(self, switch: Switch) -> bool:
        return self._on.setdefault(switch.name, switch) is switch

    @override
    def turn_off(self, name: str) -> bool:
        return self._on.pop(name, None) is not None


def _unsealed(chain: str, new: NewEntry) -> Entry:
    return _Told(
        chain=chain,
        seq=0,
        prev_hash="",
        kind=new.event.KIND,
        at_us=to_us(new.at),
        actor=new.actor,
        catalog=new.catalog,
        salt=b"",
        body=None,
        body_hash="",
        entry_hash="",
        told=new.event,
    )


def _database() -> Connection:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    engine = create_engine(
        "sqlite://", creator=lambda: raw, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
    )
    connection = engine.connect()
    METADATA.create_all(connection)
    return connection
