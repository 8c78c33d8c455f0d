"""Runs and the requests for their approval, as rows that are found; the journal has their story."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update

from engine.core.journal import from_us, to_us
from engine.ports.rows import ApprovalRow, RunRow
from engine.store.incident_rows import AFTER_ANY_ID
from engine.store.statements import bare_rows, first_row, insert_new
from engine.store.tables import IS_ACTIVE, approvals, runs, storable

_OF_RUN = tuple(column.name for column in runs.columns)
_OF_APPROVAL = tuple(column.name for column in approvals.columns)
_INSERT_RUN = insert_new(runs)
_REPLACE_RUN = (
    update(runs)
    .where(runs.c.id == bindparam("of"))
    .values({column.name: bindparam(column.name) for column in runs.c if column.name != "id"})
)
_RUN = select(runs).where(runs.c.id == bindparam("id"))
_ACTIVE = select(runs).where(IS_ACTIVE).order_by(runs.c.created_at_us, runs.c.id)
_FIND_RUN = (
    select(runs)
    .where(
        or_(
            *(
                and_(column >= bindparam("first"), column < bindparam("after"))
                for column in (runs.c.id, runs.c.incident_id)
            )
        )
    )
    .order_by(case((IS_ACTIVE, 0), else_=1), runs.c.created_at_us.desc(), runs.c.id)
    .limit(2)
)
_INSERT_APPROVAL = insert_new(approvals)
_DECIDE = (
    update(approvals)
    .where(approvals.c.id == bindparam("of"), approvals.c.state == "pending")
    .values(
        state=bindparam("decided"), actor=bindparam("by"), decided_at_us=bindparam("decided_at")
    )
    .returning(*approvals.columns)
)
_APPROVAL = select(approvals).where(approvals.c.id == bindparam("id"))
_FIND = (
    select(approvals)
    .join(runs, runs.c.id == approvals.c.run_id, isouter=True)
    .where(
        or_(
            *(
                and_(column >= bindparam("first"), column < bindparam("after"))
                for column in (approvals.c.id, approvals.c.run_id, approvals.c.incident_id)
            )
        )
    )
    .order_by(
        case((and_(approvals.c.state == "pending", IS_ACTIVE), 0), else_=1),
        approvals.c.requested_at_us.desc(),
        approvals.c.id,
    )
    .limit(2)
)


def create_run(connection: Connection, run: RunRow) -> bool:
    """Insert; False when its trigger or id exists."""
    return connection.execute(_INSERT_RUN.on(connection), _run_row(run)).rowcount == 1


def put_run(connection: Connection, run: RunRow) -> None:
    """Replace by id."""
    row = _run_row(run)
    connection.execute(_REPLACE_RUN, {**row, "of": row.pop("id")})


def find_run(connection: Connection, run: str) -> RunRow | None:
    """By id."""
    row = first_row(connection, _RUN, {"id": run})
    return None if row is None else _run(row)


def active_runs(connection: Connection) -> Sequence[RunRow]:
    """Those that haven't ended, oldest first."""
    return [_run(row) for row in bare_rows(connection, _ACTIVE, {})]


def find_runs(connection: Connection, prefix: str) -> Sequence[RunRow]:
    """By the beginning of its own or its incident's id; at most 2, active ones first."""
    first = prefix.lower()
    if not first or not first.isalnum():
        return ()
    rows = bare_rows(connection, _FIND_RUN, {"first": first, "after": first + AFTER_ANY_ID})
    return [_run(row) for row in rows]


def create_approval(connection: Connection, approval: ApprovalRow) -> None:
    """Insert; an existing one stays as it is."""
    connection.execute(
        _INSERT_APPROVAL.on(connection),
        {
            "id": approval.id,
            "run_id": approval.run_id,
            "incident_id": approval.incident_id,
            "plan_hash": approval.plan_hash,
            "ask": json.dumps(approval.ask),
            "state": approval.state,
            "requested_at_us": to_us(approval.requested_at),
            "expires_at_us": to_us(approval.expires_at),
            "decided_at_us": _us(approval.decided_at),
            "actor": approval.actor,
        },
    )


def decide_approval(
    connection: Connection,
    approval: str,
    state: Literal["approved", "rejected", "expired"],
    actor: str,
    now: datetime,
) -> ApprovalRow | None:
    """Compare-and-set from pending; None when it wasn't."""
    row = first_row(
        connection,
        _DECIDE,
        {"of": approval, "decided": state, "by": storable(actor), "decided_at": to_us(now)},
    )
    return None if row is None else _approval(row)


def find_approval(connection: Connection, approval: str) -> ApprovalRow | None:
    """By id."""
    row = first_row(connection, _APPROVAL, {"id": approval})
    return None if row is None else _approval(row)


def find_approvals(connection: Connection, prefix: str) -> Sequence[ApprovalRow]:
    """By the beginning of its own, its run's or its incident's id; at most 2, open ones first."""
    first = prefix.lower()
    if not first or not first.isalnum():
        return ()
    rows = bare_rows(connection, _FIND, {"first": first, "after": first + AFTER_ANY_ID})
    return [_approval(row) for row in rows]


def _run_row(run: RunRow) -> dict[str, object]:
    return {
        "id": run.id,
        "incident_id": run.incident_id,
        "trigger": run.trigger,
        "playbook_id": run.playbook_id,
        "playbook_hash": run.playbook_hash,
        "phase": run.phase,
        "outcome": run.outcome,
        "created_at_us": to_us(run.created_at),
        "ended_at_us": _us(run.ended_at),
    }


def _run(row: Sequence[Any]) -> RunRow:
    values = dict(zip(_OF_RUN, row, strict=True))
    created_at, ended_at = from_us(values.pop("created_at_us")), _at(values.pop("ended_at_us"))
    return RunRow(**values, created_at=created_at, ended_at=ended_at)


def _approval(row: Sequence[Any]) -> ApprovalRow:
    values = dict(zip(_OF_APPROVAL, row, strict=True))
    return ApprovalRow(
        ask=tuple(json.loads(values.pop("ask"))),
        requested_at=from_us(values.pop("requested_at_us")),
        expires_at=from_us(values.pop("expires_at_us")),
        decided_at=_at(values.pop("decided_at_us")),
        **values,
    )


def _us(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def _at(at_us: int | None) -> datetime | None:
    return None if at_us is None else from_us(at_us)
