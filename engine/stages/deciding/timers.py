"""Timers that came due, as records of the stream: each asks whether what it waited for is so."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from msgspec import structs

from engine.core import events
from engine.core.absence import absence_alert
from engine.core.alert import Occurrence, occurrence_id
from engine.core.classify import match_alone
from engine.core.incident import REOPEN_WITHIN
from engine.core.inventory import enrich
from engine.core.records import Tick
from engine.core.severity import Mode, ModeLimit, Severity
from engine.core.undoing import LOOK_AGAIN
from engine.errors import ConflictError
from engine.ports.recording import record
from engine.ports.undoing import way_back
from engine.stages.deciding.acting import act, join
from engine.stages.deciding.admitting import timer_task
from engine.stages.deciding.braking import brake_told
from engine.stages.deciding.work import BatchWork


def take_tick(work: BatchWork, tick: Tick, partition_key: str) -> None:
    """Decide on a timer that came due; `partition_key` is the key of its record."""
    _TIMERS[tick.timer](work, tick, partition_key)


def expire_later(work: BatchWork, occurrence: Occurrence, partition_key: str) -> None:
    """Ask at its expiry whether it was moved: most repeats leave the timer as it is."""
    if occurrence.expires_at is not None:
        fingerprint, due = occurrence.alert.fingerprint, occurrence.expires_at
        work.tx.put_task(timer_task("occurrence_expiry", fingerprint, due, partition_key))


def _expiry(work: BatchWork, tick: Tick, partition_key: str) -> None:
    occurrence = work.occurrence(tick.subject)
    if occurrence is None or not occurrence.is_open or occurrence.expires_at is None:
        return
    if occurrence.expires_at > tick.due_at:
        work.keep(occurrence)
        expire_later(work, occurrence, partition_key)
        return
    work.end(structs.replace(occurrence, ended_at=occurrence.expires_at, ended_by="expiry"))


def _hold_due(work: BatchWork, tick: Tick, _: str) -> None:
    occurrence = work.occurrence(tick.subject)
    if occurrence is not None and occurrence.is_open:
        after, _found = act(work, occurrence, tick.due_at, "asked")
        work.keep(after)


def _absorption(work: BatchWork, tick: Tick, _: str) -> None:
    cause = work.occurrence(tick.subject.partition("/")[0])
    if cause is not None and cause.is_open:
        work.admitting.ask_dependants(cause, tick.subject, tick.due_at)


def _absence(work: BatchWork, tick: Tick, partition_key: str) -> None:
    """No heartbeat came: quell itself says so, until one comes or nobody asks any more."""
    state = work.tx.conditions.group(tick.subject)
    if state.heard_at is None:
        return
    rule = work.catalog.rule(state.rule_id)
    absent = rule.conditions.absent if rule is not None else None
    alert = enrich(absence_alert(state, rule, tick.due_at), work.catalog.inventory)
    known = work.occurrence(alert.fingerprint)
    is_known = known is not None and known.is_open
    if rule is None or absent is None:
        if known is not None and is_known:
            work.end(structs.replace(known, ended_at=tick.due_at, ended_by="expiry"))
        return
    if state.heard_at + absent.for_ > tick.due_at:
        return
    # Asked again while it lasts, so that it ends with its rule.
    work.admitting.expect_from(state.id, tick.due_at + absent.for_, partition_key)
    if is_known:
        return
    occurrence = Occurrence(
        id=occurrence_id(alert.fingerprint, tick.due_at, known.id if known else ""),
        alert=alert,
        started_at=state.heard_at,
        last_notice_at=tick.due_at,
        expires_at=None,
        ended_at=None,
        partition_key=partition_key,
    )
    match = match_alone(alert, rule, work.catalog.rules)
    incident = join(work, replace(match, group=state.values), occurrence, tick.due_at)
    occurrence = structs.replace(occurrence, incident_ids=(incident,))
    work.join(incident, occurrence, match.severity)
    work.keep(occurrence)


def _close(work: BatchWork, tick: Tick, _: str) -> None:
    incident = work.incident(tick.subject)
    # It may have been reopened and resolved again since this timer was set.
    if (
        incident is not None
        and incident.status == "resolved"
        and incident.resolved_at is not None
        and incident.resolved_at + REOPEN_WITHIN <= tick.due_at
    ):
        work.live[incident.id] = record(work.tx, incident, [events.IncidentClosed()], work.author)


def _age(work: BatchWork, tick: Tick, _: str) -> None:
    subject, _slash, severity = tick.subject.partition("/")
    incident = work.incident(subject)
    if incident is not None and incident.status == "open" and severity in Severity.__members__:
        work.aged[incident.id] = Severity[severity]
        work.settling.add(incident.id)


def _calm(work: BatchWork, tick: Tick, _: str) -> None:
    incident = work.incident(tick.subject)
    rule = work.catalog.rule(incident.rule_id) if incident is not None else None
    if incident is None or work.firing.get(incident.id, incident.open_count):
        return
    flapping = rule.conditions.flapping if rule is not None else None
    if rule is not None and flapping is not None:
        state = work.tx.conditions.group(rule.conditions.group(incident.correlation_key))
        if state.calm_at is not None and state.calm_at + flapping.stable_for > tick.due_at:
            return
    work.calm.add(incident.id)
    work.settling.add(incident.id)


def _revert(work: BatchWork, tick: Tick, partition_key: str) -> None:
    """A temporary remedy has helped for as long as it should."""
    run = work.tx.run(tick.subject)
    incident = work.incident(run.incident_id) if run is not None else None
    if run is None or incident is None:
        return
    if incident.run_under_way:
        # It may be a person's who takes the remedy back, and who may yet not be allowed to.
        due = tick.due_at + LOOK_AGAIN
        work.tx.put_task(timer_task("revert", tick.subject, due, partition_key))
        return
    mode = ModeLimit(Mode.AUTO, "its rollback was approved with the plan that it takes back")
    with suppress(ConflictError):  # a person was quicker, or lets it stay
        reason = f"the time of {run.playbook_id} is over"
        created = way_back(work.tx, incident, run.id, mode, reason, reverts=True)
        work.live[incident.id] = record(work.tx, incident, [created], work.author)


_TIMERS: Mapping[str, Callable[[BatchWork, Tick, str], None]] = {
    "occurrence_expiry": _expiry,
    "hold_due": _hold_due,
    "absorption": _absorption,
    "absence": _absence,
    "incident_close": _close,
    "incident_age": _age,
    "incident_calm": _calm,
    "storm_brake": brake_told,
    "revert": _revert,
}
