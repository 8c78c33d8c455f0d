"""Reads the journal for how far each rule has earned trust."""

from collections.abc import Sequence
from datetime import datetime

from engine.core import events
from engine.core.incident import Incident, chain_of
from engine.core.journal import told
from engine.core.severity import Mode
from engine.core.trust import Standing, Story, case_of, order_of, standings, usual_durations
from engine.ports.rows import IncidentFilter
from engine.ports.store import Store, Tx

PAGE = 200
# Looks, messages and alerts are many, and say nothing here.
_LEFT_OUT = (
    events.StepObserved.KIND,
    events.MessageSent.KIND,
    events.OccurrenceJoined.KIND,
    events.OccurrenceEnded.KIND,
)


async def standings_of(store: Store) -> Sequence[Standing]:
    """By rule and environment, over all incidents that the store has."""
    found: list[tuple[Incident, Story]] = []
    before: int | None = None
    while True:
        which = IncidentFilter(before_number=before, limit=PAGE)
        page, now = await _page(store, which)
        found.extend(page)
        if len(page) < PAGE:
            return _judged(found, now)
        before = page[-1][0].number


async def _page(
    store: Store, which: IncidentFilter
) -> tuple[list[tuple[Incident, Story]], datetime]:
    def work(tx: Tx) -> tuple[list[tuple[Incident, Story]], datetime]:
        return [(each, _story(tx, each)) for each in tx.incidents(which)], tx.now

    return await store.read(work)


def _story(tx: Tx, incident: Incident) -> Story:
    if not incident.run_id:
        return ()
    entries = tx.entries(chain_of(incident.id), without=_LEFT_OUT)
    return told(entries)


def _judged(found: Sequence[tuple[Incident, Story]], now: datetime) -> Sequence[Standing]:
    usual = usual_durations(story for _, story in found)
    by_hand: dict[str, list[datetime]] = {}
    for incident, story in found:
        for event, at, _ in story if incident.by_hand else ():
            if isinstance(event, events.RunCreated) and event.mode != Mode.OBSERVE.value:
                by_hand.setdefault(order_of(event), []).append(at)
    cases = (case_of(incident, story, usual, by_hand) for incident, story in found)
    return standings((case for case in cases if case is not None), now)
