"""Runs and approvals on each database."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.ports.rows import ApprovalRow, RunRow
from engine.ports.store import Store, Tx
from tests.services.stores import START, Database

DEADLINE_S = 30.0


async def test_a_run_is_created_once_a_trigger(store: Store) -> None:
    run = RunRow("r1", "i1", "t1", "restart", "hash", "created", "", START)
    assert await store.write(lambda tx: tx.create_run(run)) is True
    assert await store.write(lambda tx: tx.create_run(run)) is False
    assert await store.write(lambda tx: tx.create_run(replace(run, id="r2"))) is False
    assert await store.write(lambda tx: tx.create_run(replace(run, id="r2", trigger="t2"))) is True
    ended = replace(run, phase="ended", outcome="succeeded", ended_at=START + timedelta(minutes=1))
    await store.write(lambda tx: tx.put_run(ended))
    found = await store.read(lambda tx: [tx.run(each) for each in ("r1", "r2", "r3")])
    assert found == [ended, replace(run, id="r2", trigger="t2"), None]


def an_approval(name: str, **changes: Any) -> ApprovalRow:
    row = ApprovalRow(name, "r1", "i1", "hash", ("role:oncall", "ö"), "pending", START, START)
    return replace(row, **changes)


async def test_a_decision_stands(database: Database) -> None:
    async with database.opened() as store:
        await store.write(lambda tx: tx.create_approval(an_approval("a1")))
        await store.write(lambda tx: tx.create_approval(an_approval("a1", run_id="other")))
        assert await store.read(lambda tx: tx.approval("a1")) == an_approval("a1")
        decided, now = await store.write(
            lambda tx: (tx.decide_approval("a1", "approved", "slack:T1/U1"), tx.now)
        )
        assert decided == an_approval("a1", state="approved", actor="slack:T1/U1", decided_at=now)
        assert await store.write(lambda tx: tx.decide_approval("a1", "rejected", "x")) is None
        assert await store.write(lambda tx: tx.decide_approval("a2", "rejected", "x")) is None
    async with database.opened() as store:
        assert await store.read(lambda tx: tx.approval("a1")) == decided


@pytest.mark.parametrize(
    ("prefix", "ids"),
    [
        ("a", ["a2", "a1"]),
        ("a1", ["a1"]),
        ("RUN", ["a2", "a1"]),
        ("inc2", ["a1"]),
        ("", []),
        ("z", []),
    ],
)
async def test_approvals_are_found_by_what_they_are_for_pending_first(
    store: Store, prefix: str, ids: list[str]
) -> None:
    def work(tx: Tx) -> list[str]:
        later = START + timedelta(minutes=5)
        for row in (
            an_approval(
                "a1", run_id="run1", incident_id="inc2", state="approved", requested_at=later
            ),
            an_approval("a2", run_id="run2", incident_id="inc1"),
            an_approval("a3", run_id="run3", incident_id="inc1", state="expired"),
        ):
            tx.create_approval(row)
        return [each.id for each in tx.find_approvals(prefix)]

    assert await store.write(work) == ids
