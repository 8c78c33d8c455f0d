"""Silences what a run expects of its own changes, in the transactions that begin and end it."""

from collections.abc import Sequence

from engine.core import events
from engine.core.expected_alerts import expected_silences, no_longer_expected
from engine.core.incident import Incident
from engine.core.plan import Plan
from engine.ports.silencing import shorten
from engine.ports.store import Tx


def expect(tx: Tx, plan: Plan, incident: Incident) -> Sequence[events.Event]:
    """Silence it; what tells of that, unless it was told before."""
    told: list[events.Event] = []
    for silence in expected_silences(plan, incident.name, tx.now):
        if tx.silences.find(silence.id):
            continue  # the first attempt surely never began, and comes again
        tx.silences.put(silence)
        told.append(
            events.AlertsExpected(
                run_id=plan.run_id,
                silence_id=silence.id,
                matchers=silence.matchers,
                targets=silence.targets,
                ends_at=silence.ends_at.isoformat(),
            )
        )
    return told


def expect_no_more(tx: Tx, plan: Plan) -> None:
    """The run has ended: what waits is decided when the rest of the time is over."""
    for silence in expected_silences(plan, "", tx.now):
        for known in tx.silences.find(silence.id):
            shorten(tx, no_longer_expected(known, plan, tx.now))
