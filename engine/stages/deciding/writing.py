"""A batch's news written once: one entry per incident and kind, and the rows of occurrences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate

from pydantic import JsonValue

from engine.core import events
from engine.core.alert import Occurrence
from engine.core.bounds import cut_texts, size_of
from engine.core.conditions import AT_ONCE, Conditions, Escalation, Flapping, Mark, enough, marked
from engine.core.durations import format_duration
from engine.core.events.event import BRIEF_LIMIT
from engine.core.ids import derived_id
from engine.core.incident import Incident
from engine.ports.recording import record, task_for
from engine.stages.deciding.work import BatchWork

# An entry tells of this many alerts in words; the rest are in its digest and in the rows.
ALERTS_IN_AN_ENTRY = 10
ALERTS_IN_AN_ENTRY_BYTES = 512 * 1024
ANNOTATIONS_TOLD = 8_000


def write(work: BatchWork) -> None:
    """Every incident's part of the batch, in one order for all writers, and then the rows."""
    work.settling.update(work.joined, work.ended, work.absorbed)
    settle(work)
    # Last, because these rows are the count of an incident that another release wrote.
    work.tx.put_occurrences(list(work.touched.values()))
    work.tx.put_repeats(list(work.repeated.values()))


def settle(work: BatchWork) -> None:
    """Write the part of the incidents for which that can't wait for the end of the batch."""
    while work.settling:
        incident_id = min(work.settling)
        work.settling.discard(incident_id)
        incident = work.incident(incident_id)
        if incident is not None and incident.status != "closed":
            work.live[incident_id] = _settled(work, incident)
        for part in (work.joined, work.ended, work.absorbed, work.first_runs, work.most):
            part.pop(incident_id, None)
        work.aged.pop(incident_id, None)
        work.gravest.pop(incident_id, None)
        work.calm.discard(incident_id)


def _settled(work: BatchWork, incident: Incident) -> Incident:
    incident = record(work.tx, incident, _story(work, incident.id), work.author)
    rule = work.catalog.rule(incident.rule_id)
    conditions = rule.conditions if rule is not None else AT_ONCE
    if incident.status == "open":
        incident = _grown(work, incident, conditions)
    if conditions.flapping is not None:
        incident = _flapped(work, incident, conditions, conditions.flapping)
    return _over(work, incident)


def _story(work: BatchWork, incident_id: str) -> Sequence[events.Event]:
    story: list[events.Event] = []
    if joined := work.joined.get(incident_id):
        story.append(_told(joined))
    story.extend(work.first_runs.get(incident_id, ()))
    if absorbed := work.absorbed.get(incident_id):
        ids = tuple(each.id for each in absorbed.occurrences)
        story.append(events.OccurrenceAbsorbed(occurrence_ids=ids, cause=absorbed.cause))
    if ended := work.ended.get(incident_id):
        story.append(
            events.OccurrenceEnded(
                occurrence_ids=tuple(o.id for o in ended),
                by="expiry" if ended[0].ended_by == "expiry" else "source",
            )
        )
    return story


def _grown(work: BatchWork, incident: Incident, conditions: Conditions) -> Incident:
    """Its severity rises with what joins it, how much of it fires, how long; it never falls."""
    reached = [
        (each.severity, _reason(each))
        for each in conditions.escalate
        if (each.firing is not None and work.most.get(incident.id, 0) >= each.firing)
        or (each.after is not None and work.aged.get(incident.id) == each.severity)
    ]
    if joined := work.gravest.get(incident.id):
        severity, name = joined
        reached.append((severity, f"{name} joined, which is graver"))
    severity, reason = min(reached, key=lambda each: each[0], default=(incident.severity, ""))
    if severity >= incident.severity:
        return incident
    rule = work.catalog.rule(incident.rule_id)
    raised = events.SeverityRaised(
        severity=severity.name,
        reason=reason,
        postmortem=rule is not None and severity in rule.postmortem,
    )
    return record(work.tx, incident, [raised], work.author)


def _reason(reached: Escalation) -> str:
    if reached.after is not None:
        return f"open for {format_duration(reached.after)}"
    return f"{reached.firing} alerts fire"


def _over(work: BatchWork, incident: Incident) -> Incident:
    """Resolved, or absorbed, where nothing of it fires any more."""
    if incident.status != "open" or incident.open_count:
        return incident
    decided_at = work.decided_at.isoformat() if work.decided_at is not None else ""
    over: events.Event = events.IncidentResolved(decided_at=decided_at)
    if incident.id in work.absorbed:
        over = events.IncidentAbsorbed(cause=work.absorbed[incident.id].cause)
    elif incident.flaps and incident.id not in work.calm:
        return incident
    incident = record(work.tx, incident, [over], work.author)
    if incident.run_id and incident.phase != "idle":
        work.tx.wake_task("run", incident.run_id)
    return incident


def _flapped(
    work: BatchWork, incident: Incident, conditions: Conditions, flapping: Flapping
) -> Incident:
    """Count how often its alerts begin; what flaps is asked again once it could be stable."""
    state = work.tx.conditions.group(conditions.group(incident.correlation_key))
    starts = state.starts
    for each in work.joined.get(incident.id, ()):
        mark = Mark(each.id, each.alert.received_at)
        starts = marked(starts, mark, flapping.at_least)
    ends = [o.ended_at for o in work.ended.get(incident.id, ()) if o.ended_at is not None]
    calm_at = max(ends, default=state.calm_at)
    work.tx.conditions.put_group(replace(state, starts=starts, calm_at=calm_at))
    if incident.status != "open":
        return incident
    if not incident.flaps and enough(starts, flapping.at_least, flapping.within):
        flaps = events.IncidentFlapping(
            started=len(starts),
            within_s=flapping.within.total_seconds(),
            stable_for_s=flapping.stable_for.total_seconds(),
        )
        incident = record(work.tx, incident, [flaps], work.author)
    if incident.flaps and not incident.open_count and calm_at is not None:
        _ask_when_calm(work, incident, calm_at + flapping.stable_for)
    return incident


def _ask_when_calm(work: BatchWork, incident: Incident, at: datetime) -> None:
    if incident.id not in work.calm:
        tick = task_for(incident, "tick", f"incident_calm/{incident.id}", work.tx)
        work.tx.put_task(replace(tick, not_before=at))


def _told(occurrences: Sequence[Occurrence]) -> events.OccurrenceJoined:
    ids = tuple(o.id for o in occurrences)
    told = [_summary(occurrence) for occurrence in occurrences[:ALERTS_IN_AN_ENTRY]]
    if size_of(told) > ALERTS_IN_AN_ENTRY_BYTES:
        sizes = accumulate(map(size_of, told))
        told = told[: sum(size <= ALERTS_IN_AN_ENTRY_BYTES for size in sizes)]
    return events.OccurrenceJoined(
        occurrence_ids=ids, digest=derived_id("occurrences", *ids), alerts=tuple(told)
    )


def _summary(occurrence: Occurrence) -> Mapping[str, JsonValue]:
    alert = occurrence.alert
    return {
        "name": alert.name,
        "labels": dict(alert.labels),
        "annotations": {**cut_texts(alert.annotations, BRIEF_LIMIT, ANNOTATIONS_TOLD)},
        "starts_at": occurrence.started_at.isoformat(),
        "source": alert.source,
        "links": list(alert.links),
    }
