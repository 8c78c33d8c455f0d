"""Tasks: claimed by lease with a fencing token, never lost when put or woken during a lease.

Changes are written by `flush`, sorted by task. Rows of tasks then lock after the journal's
heads in every transaction, and a claim is kept away by a lock that a wake-up doesn't wait for:
pipeline and worker can't block each other in a circle.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    case,
    delete,
    func,
    null,
    or_,
    select,
    update,
)

from engine.core.incident import chain_of
from engine.core.journal import from_us, to_us
from engine.core.json_value import canonical_bytes
from engine.errors import FencedError
from engine.ports.rows import DueWork, Task, TaskKind
from engine.store.statements import (
    Spelled,
    bare_each,
    first_row,
    last_number,
    next_number,
    upsert,
)
from engine.store.tables import heads, tasks

# A transaction's time; the first that is read, by itself or with something else, is it.
Now = Callable[..., datetime]

PRIORITIES = (1, 2, 3, 4)
_NEVER_US = 2**62
_NAMES = tuple(column.name for column in tasks.columns)

_OF = tasks.c.id == bindparam("of")
_HELD = (tasks.c.id == bindparam("of")) & (tasks.c.token == bindparam("held"))
_UNSEEN = tasks.c.generation != bindparam("seen", BigInteger)


def _later(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((one > other, one), else_=other)


def _sooner(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((one < other, one), else_=other)


_PUT = upsert(
    tasks,
    lambda new: {
        "payload": new.payload,
        "priority": new.priority,
        "not_before_us": new.not_before_us,
        "due_at_us": _later(tasks.c.lease_until_us, new.not_before_us),
        "generation": tasks.c.generation + 1,
    },
)
_SOON = _sooner(tasks.c.not_before_us, bindparam("now_us", BigInteger))
_WAKE = (
    update(tasks)
    .where(_OF)
    .values(
        not_before_us=_SOON,
        due_at_us=_later(tasks.c.lease_until_us, _SOON),
        generation=tasks.c.generation + 1,
    )
)
_CANCEL = delete(tasks).where(_OF)
_WAITING = select(tasks.c.kind, func.count().label("waiting")).group_by(tasks.c.kind)
_LEASE = (
    update(tasks)
    .where(_OF)
    .values(
        token=bindparam("new_token", BigInteger),
        lease_until_us=bindparam("until_us", BigInteger),
        due_at_us=bindparam("until_us", BigInteger),
        worker=bindparam("by"),
    )
    .returning(*tasks.columns)
)
# With the chain's head, which who holds a task asks for next, and on PostgreSQL the time.
_HOLD = (
    select(tasks.c.token, tasks.c.lease_until_us, heads.c.seq, heads.c.entry_hash)
    .outerjoin(heads, heads.c.chain == bindparam("chain"))
    .where(_OF)
)
# FOR KEY SHARE: it stops a claim (FOR UPDATE), but not a wake-up, which changes no key.
_HOLD_IN = Spelled(
    _HOLD.add_columns(null()),
    _HOLD.add_columns(func.clock_timestamp()).with_for_update(
        read=True, key_share=True, of=tasks.c.id
    ),
)
_EXTEND = (
    update(tasks)
    .where(_HELD)
    .values(
        lease_until_us=bindparam("until_us", BigInteger),
        due_at_us=_later(bindparam("until_us", BigInteger), tasks.c.not_before_us),
    )
    .returning(tasks.c.id)
)
_FINISH = delete(tasks).where(_HELD, ~_UNSEEN).returning(tasks.c.id)
_FREE = {"lease_until_us": 0, "worker": ""}
_FREE_AGAIN = (
    update(tasks)
    .where(_HELD)
    .values(**_FREE, due_at_us=tasks.c.not_before_us, failures=0)
    .returning(tasks.c.id)
)
_RELEASED_UNTIL = case(
    (_UNSEEN, _sooner(tasks.c.not_before_us, bindparam("until_us", BigInteger))),
    else_=bindparam("until_us", BigInteger),
)
_RELEASE = (
    update(tasks)
    .where(_HELD)
    .values(
        **_FREE,
        not_before_us=_RELEASED_UNTIL,
        due_at_us=_RELEASED_UNTIL,
        failures=bindparam("failed_times", BigInteger),
    )
    .returning(tasks.c.id)
)
_FREE_ALL = (
    update(tasks).where(tasks.c.lease_until_us > 0).values(**_FREE, due_at_us=tasks.c.not_before_us)
)
_DUE = select(func.count().label("tasks"), func.min(tasks.c.due_at_us).label("since_us")).where(
    tasks.c.due_at_us <= bindparam("now_us", BigInteger)
)


@cache
def _next_due(kinds: tuple[TaskKind, ...]) -> Executable:
    """Built once for each worker's kinds."""
    return select(func.min(tasks.c.due_at_us)).where(
        or_(*(tasks.c.kind == kind for kind in kinds)),
        tasks.c.due_at_us < bindparam("before_us", BigInteger),
    )


@cache
def _first_due(kinds: tuple[TaskKind, ...]) -> Executable:
    """The first due task of the most urgent priority that has one.

    Four look-ups in one index, however many timers wait in it; built once for each worker's
    kinds. PostgreSQL skips what another worker is claiming or holding.
    """
    return select(
        func.coalesce(
            *(
                select(tasks.c.id)
                .where(
                    tasks.c.priority == priority,
                    tasks.c.due_at_us <= bindparam("now_us", BigInteger),
                    or_(*(tasks.c.kind == kind for kind in kinds)),
                )
                .order_by(tasks.c.due_at_us)
                .limit(1)
                .with_for_update(skip_locked=True)
                .scalar_subquery()
                for priority in PRIORITIES
            )
        )
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """A statement to execute for one task. Where `held` is given, it must change its row."""

    task: str
    statement: Executable
    values: dict[str, object]
    held: Task | None = None
    otherwise: Executable | None = None


class TaskRows:
    """The tasks of one transaction; `woke` says that something may be due.

    `now` gives the transaction's time, which may be one that it is handed.
    """

    def __init__(self, connection: Connection, now: Now) -> None:
        self._connection = connection
        self._now = now
        self._put = _PUT.on(connection)
        self._unwritten: list[_Change] = []
        # Where in it each task's latest change is.
        self._latest: dict[str, int] = {}
        self.woke = False

    def put(self, task: Task) -> None:
        """Insert, or move."""
        row = {
            "id": task.id,
            "kind": task.kind,
            "payload": canonical_bytes(task.payload).decode(),
            "priority": task.priority,
            "not_before_us": to_us(task.not_before),
            "due_at_us": to_us(task.not_before),
            "lease_until_us": 0,
            "worker": "",
            "token": 0,
            "generation": 0,
            "failures": 0,
        }
        self._add(_Change(task.id, self._put, row))
        self.woke = True

    def wake(self, task: str) -> None:
        """Due now, or when its lease ends."""
        values: dict[str, object] = {"of": task, "now_us": to_us(self._now())}
        self._add(_Change(task, _WAKE, values))
        self.woke = True

    def cancel(self, task: str) -> None:
        """Remove."""
        self._add(_Change(task, _CANCEL, {"of": task}))

    def claim(self, worker: str, lease_s: float, kinds: Sequence[TaskKind]) -> Task | None:
        """Lease the most urgent due task with a token above all that were ever given."""
        self.flush()
        now = self._now()
        due = _first_due(tuple(kinds))
        found = first_row(self._connection, due, {"now_us": to_us(now)})
        if found is None or found[0] is None:
            return None
        leased = first_row(
            self._connection,
            _LEASE,
            {
                "of": found[0],
                "new_token": next_number(self._connection, "lease_token"),
                "until_us": to_us(now + timedelta(seconds=lease_s)),
                "by": worker,
            },
        )
        assert leased is not None  # its row is locked since it was found
        row = dict(zip(_NAMES, leased, strict=True))
        return Task(
            kind=cast(TaskKind, row["kind"]),
            key=row["id"].removeprefix(f"{row['kind']}/"),
            not_before=from_us(row["not_before_us"]),
            priority=row["priority"],
            payload=json.loads(row["payload"]),
            token=row["token"],
            failures=row["failures"],
            generation=row["generation"],
        )

    def hold(self, task: Task, lease_s: float | None) -> tuple[str, tuple[int, str] | None]:
        """Keep other workers away until the commit, and for `lease_s` after it if asked.

        Gives the chain of the task's incident and its head, None where that has no entries.
        """
        self.flush()
        chain = chain_of(str(task.payload.get("incident_id", "")))
        asked = {"of": task.id, "chain": chain}
        row = first_row(self._connection, _HOLD_IN.on(self._connection), asked)
        if row is None:
            raise _fenced(task)
        token, lease_until_us, seq, entry_hash, at = row
        now = self._now(at)
        if token != task.token or lease_until_us <= to_us(now):
            raise _fenced(task)
        if lease_s is not None:
            self._change_held(task, _EXTEND, until_us=to_us(now + timedelta(seconds=lease_s)))
        return chain, (None if seq is None else (seq, entry_hash))

    def finish(self, task: Task) -> None:
        """Remove it, or free it where something came since the claim."""
        self._change_held(task, _FINISH, _FREE_AGAIN, seen=task.generation)

    def release(self, task: Task, not_before: datetime, *, failed: bool) -> None:
        """Free it until then, or until what came since the claim is due."""
        self._change_held(
            task,
            _RELEASE,
            seen=task.generation,
            until_us=to_us(not_before),
            failed_times=task.failures + 1 if failed else 0,
        )
        self.woke = True  # another worker may be waiting for a later time than `not_before`

    def next_due(self, kinds: Sequence[TaskKind], before: datetime | None) -> datetime | None:
        """The earliest end of a wait or a lease.

        Where the timers of 100,000 alerts wait, only `before` keeps a rare kind's look-up from
        passing by all of them.
        """
        self.flush()
        before_us = _NEVER_US if before is None else to_us(before)
        row = first_row(self._connection, _next_due(tuple(kinds)), {"before_us": before_us})
        return None if row is None or row[0] is None else from_us(row[0])

    def due_work(self) -> DueWork:
        """What nobody has claimed, although it is due."""
        self.flush()
        row = self._connection.execute(_DUE, {"now_us": to_us(self._now())}).one()
        since = None if row.since_us is None else from_us(row.since_us)
        return DueWork(row.tasks, since, last_number(self._connection, "lease_token"))

    def free_leases(self) -> None:
        """Who held one is fenced, as after its end."""
        self.flush()
        self._connection.execute(_FREE_ALL)
        self.woke = True

    def waiting_tasks(self) -> dict[str, int]:
        """How many there are of each kind."""
        self.flush()
        rows = self._connection.execute(_WAITING)
        return {row.kind: row.waiting for row in rows}

    def flush(self) -> None:
        """Write the changes, those of one task in the order in which they were made."""
        changes = sorted(self._unwritten, key=attrgetter("task"))
        self._unwritten.clear()
        self._latest.clear()
        for statement, group in groupby(changes, key=attrgetter("statement")):
            self._write(statement, list(group))

    def _change_held(
        self, task: Task, statement: Executable, otherwise: Executable | None = None, **values: int
    ) -> None:
        held: dict[str, object] = {"of": task.id, "held": task.token, **values}
        self._add(_Change(task.id, statement, held, task, otherwise))

    def _add(self, change: _Change) -> None:
        """A task that is put twice in a row is as if it had been put the second time alone."""
        latest = self._latest.get(change.task)
        self._latest[change.task] = len(self._unwritten)
        if (
            latest is not None
            and self._unwritten[latest].statement is change.statement is self._put
        ):
            self._latest[change.task] = latest
            self._unwritten[latest] = change
        else:
            self._unwritten.append(change)

    def _write(self, statement: Executable, changes: Sequence[_Change]) -> None:
        if changes[0].held is None:
            bare_each(self._connection, statement, [change.values for change in changes])
            return
        for change in changes:
            changed = first_row(self._connection, statement, change.values)
            if changed is None and change.otherwise is not None:
                changed = first_row(self._connection, change.otherwise, change.values)
                self.woke = True
            if changed is None and change.held is not None:
                raise _fenced(change.held)


def _fenced(task: Task) -> FencedError:
    return FencedError(
        f"the lease on task {task.id!r} with token {task.token} was lost: it ran out, or the "
        "task was removed or claimed by another worker; only what was observed may be appended"
    )
