"""What an occurrence comes to by the rules that take it: incidents that it joins, or it waits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from msgspec import structs

from engine.core import events
from engine.core.absence import absence_fingerprint
from engine.core.alert import Occurrence
from engine.core.classify import Classification, Match, classify, labels_of
from engine.core.conditions import AT_ONCE, Hold
from engine.core.incident import Incident
from engine.core.severity import Severity
from engine.core.trigger import first_run, opened_by
from engine.ports.recording import open_incident, record, task_for
from engine.stages.deciding.admitting import Heard
from engine.stages.deciding.work import BatchWork


def act(
    work: BatchWork, occurrence: Occurrence, at: datetime, heard: Heard
) -> tuple[Occurrence, Classification]:
    """The occurrence after every rule that takes it had its say at `at`, and what they said.

    Asking again changes nothing that was decided: it stays in the incidents that it joined, unless
    another alert has come that explains it.
    """
    found = classify(occurrence.alert, work.catalog.rules)
    work.failures.extend(found.failures)
    matches = found.matches
    if not matches and not occurrence.held_by:
        return occurrence, found
    silenced = work.silences.over(labels_of(occurrence.alert), occurrence.alert.target, at)
    plain = all(match.rule.conditions is AT_ONCE for match in matches)
    if not occurrence.held_by and plain and silenced is None:
        return _joined(work, occurrence, matches, at), found
    held: list[Hold] = []
    acting: list[Match] = []
    after = occurrence
    for match in matches:
        live = work.tx.live_incident(work.admitting.correlation(match))
        if live is not None and live.id in after.incident_ids:
            hold = work.admitting.explained(match, after, at)
            if hold is not None and hold.kind == "absorbed":
                after = _leave(work, after, live, hold)
                held.append(hold)
            continue
        if silenced is not None and match.rule.conditions.absent is None:
            held.append(
                Hold(match.rule.id, "silenced", at, waits_for=silenced.by, until=silenced.until)
            )
            continue
        hold = work.admitting.hold(match, after, at, heard)
        if hold is not None and hold.kind == "absent" and heard != "asked":
            _came(work, hold, at)
        if hold is None:
            acting.append(match)
        else:
            held.append(hold)
    after = _joined(work, after, acting, at)
    hears = {match.rule.id for match in matches if match.rule.conditions.hears_repeats}
    held_by = tuple(hold.rule_id for hold in held)
    after = structs.replace(
        after, held_by=held_by, heard_by=tuple(rule for rule in held_by if rule in hears)
    )
    work.admitting.keep(after, held, occurrence)
    return after, found


def _joined(
    work: BatchWork, occurrence: Occurrence, matches: Sequence[Match], at: datetime
) -> Occurrence:
    """The occurrence in the incidents of these rules."""
    for match in matches:
        if match.rule.conditions.absorbs:
            occurrence = work.admitting.causes(occurrence)
    new: dict[str, Severity] = {}
    for match in matches:
        incident = join(work, match, occurrence, at)
        if incident not in occurrence.incident_ids:
            new[incident] = match.severity
    if new:
        joins = (*occurrence.incident_ids, *new)
        occurrence = structs.replace(occurrence, incident_ids=joins)
    for incident, severity in new.items():
        work.join(incident, occurrence, severity)
    return occurrence


def join(work: BatchWork, match: Match, occurrence: Occurrence, at: datetime) -> str:
    """The incident that an occurrence belongs to by `match`: a live one, or one new at `at`."""
    key = work.admitting.correlation(match)
    incident = work.tx.live_incident(key)
    if incident is None:
        incident = _start(work, match, key, occurrence, at)
    elif incident.status == "resolved":
        incident = record(work.tx, incident, [events.IncidentReopened()], work.author)
        work.tx.cancel_task("tick", f"incident_close/{incident.id}")
    work.live[incident.id] = incident
    return incident.id


def _start(
    work: BatchWork, match: Match, key: str, occurrence: Occurrence, at: datetime
) -> Incident:
    event = opened_by(
        match,
        occurrence,
        work.tx.next_incident_number(),
        decided_at=(work.decided_at or at).isoformat(),
        explained_by=tuple(work.admitting.explaining(match, occurrence)),
        previous=work.tx.previous_incident(key),
    )
    incident = open_incident(work.tx, event, work.author)
    work.opened.append(incident)
    waited = work.tx.now - at
    work.first_runs[incident.id] = first_run(
        incident, match, occurrence.alert, work.catalog, waited
    )
    for each in match.rule.conditions.escalate:
        if each.after is not None:
            timer = f"incident_age/{incident.id}/{each.severity.name}"
            age = task_for(incident, "tick", timer, work.tx)
            work.tx.put_task(replace(age, not_before=incident.opened_at + each.after))
    return incident


def _came(work: BatchWork, heartbeat: Hold, at: datetime) -> None:
    """A heartbeat ends what was said of its absence."""
    state = work.tx.conditions.group(heartbeat.waits_for)
    absence = work.occurrence(absence_fingerprint(state))
    if absence is not None and absence.is_open:
        work.end(structs.replace(absence, last_notice_at=at, ended_at=at, ended_by="source"))


def _leave(work: BatchWork, occurrence: Occurrence, live: Incident, hold: Hold) -> Occurrence:
    """A cause came after what follows from it: the occurrence leaves its incident."""
    work.absorb(live, occurrence, work.admitting.cause_of(hold))
    kept = tuple(each for each in occurrence.incident_ids if each != live.id)
    return structs.replace(occurrence, incident_ids=kept)
