"""Incidents, occurrences and journal entries with few words."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.core.alert import Alert, Occurrence
from engine.core.events import IncidentAcknowledged
from engine.core.incident import Incident
from engine.core.journal import Entry, NewEntry
from engine.core.severity import Mode, Severity
from engine.ports.rows import Task
from engine.ports.store import Store, Tx
from tests.services.stores import START

LEASE_S = 30.0
# Long past on every clock.
PAST = datetime(2001, 1, 1, tzinfo=START.tzinfo)


def an_incident(name: str = "a", *, number: int = 1, **changes: Any) -> Incident:
    plain = Incident(
        id=name,
        number=number,
        correlation_key=f"key of {name}",
        partition_key="llm-70b",
        rule_id="endpoint-down",
        severity=Severity.P2,
        title="The endpoint is down",
        mode=Mode.APPROVE,
        service="llm-70b",
        environment="production",
        team="inference",
        group={"service": "llm-70b"},
        opened_at=START,
        updated_at=START,
    )
    return replace(plain, **changes)


def an_occurrence(
    fingerprint: str,
    *,
    service: str = "llm-70b",
    started_at: datetime = START,
    incident_ids: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
) -> Occurrence:
    alert = Alert(
        fingerprint=fingerprint,
        source="am",
        name="EndpointDown",
        status="firing",
        labels=labels or {"alertname": "EndpointDown"},
        annotations={},
        starts_at=started_at,
        ends_at=None,
        received_at=started_at,
        service=service,
    )
    return Occurrence(
        id=f"occurrence of {fingerprint}",
        alert=alert,
        started_at=started_at,
        last_notice_at=started_at,
        expires_at=None,
        ended_at=None,
        incident_ids=incident_ids,
    )


def note(text: str) -> NewEntry:
    return NewEntry(IncidentAcknowledged(note=text), START, actor="local:test", catalog="v1")


def appended(chain: str, *texts: str) -> Callable[[Tx], list[Entry]]:
    return lambda tx: list(tx.append(chain, [note(text) for text in texts]))


def a_task(key: str = "a", **changes: Any) -> Task:
    return replace(Task("run", key, PAST, 2, {"incident_id": "i1"}), **changes)


async def put(store: Store, *tasks: Task) -> None:
    def work(tx: Tx) -> None:
        for task in tasks:
            tx.put_task(task)

    await store.write(work)


async def claim(store: Store, worker: str = "w1", lease_s: float = LEASE_S) -> Task | None:
    return await store.write(lambda tx: tx.claim_task(worker, lease_s, ["run", "message"]))


async def claimed(store: Store, worker: str = "w1") -> Task:
    task = await claim(store, worker)
    assert task is not None
    return task


def finishing(task: Task) -> Callable[[Tx], None]:
    return lambda tx: tx.finish_task(task)
