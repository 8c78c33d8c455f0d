"""The one way to read a run: its chain folded, and what stands against it, in one transaction."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from engine.core import events
from engine.core.blast_radius import (
    FIRING_AT_MOST,
    UNAVAILABLE,
    Radius,
    availability_of,
    first_excess,
    radii_of,
)
from engine.core.catalog import Catalog
from engine.core.guards import (
    Guard,
    Refusal,
    Reservation,
    first_refusal,
    guards_of,
    services_of,
)
from engine.core.incident import Incident, chain_of
from engine.core.journal import Entry
from engine.core.plan import Plan
from engine.core.recent_changes import nearby
from engine.core.requirements import unmet
from engine.core.run import RunState, fold
from engine.core.run_batches import begins_batch, next_change, touched_with
from engine.core.stops import Stop, stopped_by
from engine.core.storm_brake import STORM_BRAKE, asks_in_storm
from engine.core.undoing import left_behind
from engine.errors import NotFoundError, PermanentError
from engine.ports.asking import why_ask
from engine.ports.explaining import firing_cause
from engine.ports.health import troubles
from engine.ports.rows import Task
from engine.ports.silencing import silenced
from engine.ports.store import Tx
from engine.ports.stories import COMING_AND_GOING


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as of one transaction, at `now` by the store's clock.

    `seq` is the last entry of the chain that is in it, `stops` are those in force; `stopped`,
    `refusal` and `asks` are as in World.
    """

    incident: Incident
    state: RunState
    seq: int
    now: datetime
    stops: Sequence[Stop]
    stopped: str
    refusal: Refusal | None
    asks: str


def look(
    tx: Tx, task: Task, before: Seen | None, catalog: Catalog, *, intending: bool = False
) -> Seen:
    """The run of this task under its lease; `before` is what the same worker saw last.

    With `intending`, no stop is ordered and nobody else reserves before the commit. Raises
    FencedError, NotFoundError, and PermanentError where a newer version wrote what this one
    doesn't know.
    """
    stops = tx.hold_stops() if intending else tx.stops()
    tx.hold_task(task)
    return _seen(tx, task, before, catalog, stops, intending=intending)


def look_again(tx: Tx, task: Task, before: Seen, catalog: Catalog) -> Seen:
    """What this transaction, which looked before, has made of the run."""
    return _seen(tx, task, before, catalog, before.stops, intending=False)


def _seen(
    tx: Tx,
    task: Task,
    before: Seen | None,
    catalog: Catalog,
    stops: Sequence[Stop],
    *,
    intending: bool,
) -> Seen:
    incident_id = before.incident.id if before else str(task.payload["incident_id"])
    chain = chain_of(incident_id)
    seq, _ = tx.head(chain)
    incident: Incident | None
    state: RunState | None
    if before is not None and before.seq == seq:
        # Nothing changes an incident without an entry.
        incident, state = before.incident, before.state
    else:
        incident = tx.incident(incident_id)
        after_seq = before.seq if before else 0
        # What comes and goes in a storm is of no run, and there may be much of it.
        entries = tx.entries(chain, after_seq=after_seq, without=COMING_AND_GOING)
        # Another writer's may have come since the head was read; those are the next look's.
        state = _folded(task, [e for e in entries if e.seq <= seq], before)
    if incident is None or state is None:
        raise NotFoundError(f"run {task.key!r} has a task but no journal entries")
    refusal, asks = _refusal(tx, incident, state, catalog, intending=intending)
    return Seen(
        incident=incident,
        state=state,
        seq=seq,
        now=tx.now,
        stops=stops,
        stopped=stopped_by(stops, incident.rule_id, *state.playbooks),
        refusal=refusal,
        asks=asks,
    )


def _folded(task: Task, entries: Sequence[Entry], before: Seen | None) -> RunState | None:
    state = fold(task.key, _known(entries), before.state if before else None)
    if state is not None and state.undoes and state.undone is None:
        return replace(state, undone=left_behind(state.undoes, [*_known(entries)]))
    return state


def _known(entries: Iterable[Entry]) -> Iterator[tuple[events.Event, datetime, str]]:
    for entry in entries:
        event = entry.event()
        if event is not None:
            yield event, entry.at, entry.actor
        elif entry.body is not None:
            # Going on without it could repeat what it tells of.
            raise PermanentError(
                f"entry {entry.seq} of {entry.chain} is of the kind {entry.kind!r}, which this "
                "version does not know: a newer quell wrote it, and has to go on with this run"
            )


def _explained(tx: Tx, incident: Incident) -> Refusal | None:
    """Whether an alert fires meanwhile that says why the incident is there."""
    found = firing_cause(tx, incident.explained_by, lambda each: tx.occurrences([each]).get(each))
    if found is None:
        return None
    _, cause = found
    return Refusal("inhibited", f"{cause.alert.name} fires, which explains this", waits=True)


def _firing(tx: Tx) -> Mapping[str, str] | None:
    found = tx.firing_targets(FIRING_AT_MOST + 1)
    if len(found) > FIRING_AT_MOST:
        return None
    return {target: f"INC-{number}" for target, number in reversed(found)}


def _way_back(
    tx: Tx, state: RunState, guards: Sequence[Guard], *, intending: bool
) -> Refusal | None:
    """Only others' locks stand before what takes a run back; those of that run it takes over."""
    locks = [guard for guard in guards if guard.name == "lock"]
    if intending:
        tx.hold_guards([guard.key for guard in locks])

    def others(guard: Guard) -> Sequence[Reservation]:
        return [each for each in tx.counted(guard) if each.run_id != state.undoes]

    return first_refusal(locks, others, state.run_id, tx.now)


def _radii(plan: Plan, catalog: Catalog) -> Sequence[Radius]:
    limits = catalog.policy.limits
    found = (r for each in plan.guarded for r in radii_of(each, catalog.inventory, limits))
    return list(dict.fromkeys(found))


def _excess(
    tx: Tx, state: RunState, radii: Sequence[Radius], touches: Collection[str], catalog: Catalog
) -> Refusal | None:
    """The radius that the run would exceed by what comes next."""
    available = availability_of(state.guard_looks.get(UNAVAILABLE), catalog.inventory)
    return first_excess(radii, state.run_id, touches, tx.counted, partial(_firing, tx), available)


def _next_batch(
    tx: Tx, state: RunState, plan: Plan, catalog: Catalog, *, intending: bool
) -> Refusal | None:
    """Once a run has begun, only what is unavailable meanwhile keeps it from its next batch."""
    step = next_change(state, plan)
    if step is None or state.undoes or not begins_batch(state, plan, step):
        return None
    radii = _radii(plan, catalog)
    if intending:
        tx.hold_guards([each.guard.key for each in radii])
    return _excess(tx, state, radii, touched_with(state, plan, step), catalog)


def _refusal(
    tx: Tx, incident: Incident, state: RunState, catalog: Catalog, *, intending: bool
) -> tuple[Refusal | None, str]:
    """What the guards say before the first change, or a batch, and why they want a person."""
    if state.plan is None or state.outcome is not None:
        return None, ""
    if state.began:
        return _next_batch(tx, state, state.plan, catalog, intending=intending), ""
    if not state.undoes and (explained := _explained(tx, incident)) is not None:
        return explained, ""
    if not state.undoes and (by := silenced(tx, incident)) is not None:
        return Refusal("silenced", f"all of it is silenced ({by.why})", waits=True), ""
    services = services_of(state.plan, catalog.inventory, incident.service)
    if state.undoes:
        own = guards_of(state.plan, incident.rule_id, services.values())
        # What was approved long before is done by itself like all in auto: not in a storm.
        in_storm = asks_in_storm(tx.switches.find(STORM_BRAKE), state.mode)
        return _way_back(tx, state, own, intending=intending), in_storm
    limits = catalog.policy.limits
    plans = state.plan.guarded
    found = (g for p in plans for g in guards_of(p, incident.rule_id, services.values(), limits))
    guards = list(dict.fromkeys(found))
    radii = _radii(state.plan, catalog)
    near = nearby(state.plan, services.values(), catalog.inventory)
    if intending:
        tx.hold_guards([guard.key for guard in (*guards, *(each.guard for each in radii))])
    stand = [guard for guard in guards if guard.then != "ask"]
    asking = [guard for guard in guards if guard.then == "ask"]
    ill = partial(troubles, tx)
    needs = [unmet(plan, catalog.inventory, state.guard_looks, ill) for plan in plans]
    ails = next((each for each, _ in needs if each is not None), None)
    asks = "; ".join(dict.fromkeys(why for _, why in needs if why))
    touches = touched_with(state, state.plan, next_change(state, state.plan))
    refusal = (
        first_refusal(stand, tx.counted, state.run_id, tx.now)
        or _excess(tx, state, radii, touches, catalog)
        or ails
    )
    if refusal is not None or state.approval is not None:
        return refusal, ""  # what was asked once is a person's to decide
    others = why_ask(tx, incident, state, catalog, asking, near)
    return None, "; ".join(filter(None, (asks, others)))
