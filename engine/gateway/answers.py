"""Turns what commands and queries return into the API's answers."""

import json
from collections.abc import Sequence

from engine.core.alert import Alert
from engine.core.conditions import Hold
from engine.core.guards import Lock
from engine.core.incident import Incident
from engine.core.journal import Entry
from engine.core.positions import PartitionState
from engine.core.recent_changes import OutsideChange
from engine.core.silences import Silence
from engine.core.stops import Stop
from engine.core.trust import Standing
from engine.ports.api import (
    ApprovalAnswer,
    AuditAnswer,
    BalanceAnswer,
    DeadLetterAnswer,
    DeadLetterContent,
    DeadLetterPage,
    DecisionAnswer,
    IncidentAnswer,
    IncidentStory,
    LockAnswer,
    LocksAnswer,
    PositionAnswer,
    PositionsAnswer,
    ReplayAnswer,
    RepositionAnswer,
    SilenceAnswer,
    SilencesAnswer,
    StopAnswer,
    StopsAnswer,
    TimelineEntry,
)
from engine.ports.change_api import ChangeAnswer
from engine.ports.commands import AuditReport, Balance, Decided, Replayed, Repositioned, Timeline
from engine.ports.rows import ApprovalRow, DeadLetter
from engine.ports.rules_api import StandingAnswer, TrustAnswer, WaitingAlert, WaitingAnswer

# More of a body than a person reads.
SHOWN_BYTES = 64 * 1024


def incident_answer(incident: Incident) -> IncidentAnswer:
    """One incident as the API shows it."""
    return IncidentAnswer(
        id=incident.id,
        number=incident.number,
        name=incident.name,
        severity=incident.severity.name,
        status=incident.status,
        phase=incident.phase,
        title=incident.title,
        rule_id=incident.rule_id,
        mode=incident.mode.value,
        service=incident.service,
        environment=incident.environment,
        team=incident.team,
        group=incident.group,
        occurrences=incident.occurrences,
        open_occurrences=incident.open_count,
        runs=incident.runs,
        run_id=incident.run_id,
        outcome=incident.outcome,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        acknowledged_at=incident.acknowledged_at,
        mitigated_at=incident.mitigated_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        previous_id=incident.previous_id,
        absorbed_by=incident.absorbed_by,
        flaps=incident.flaps,
        missed=incident.missed,
        follow_ups=incident.follow_ups,
        ticket=incident.ticket,
        ticket_url=incident.ticket_url,
        postmortem=incident.postmortem,
    )


def incident_story(incident: Incident, page: Timeline) -> IncidentStory:
    """One incident with a page of its journal, in order."""
    timeline = tuple(timeline_entry(entry) for entry in page.entries)
    return IncidentStory(
        **dict(incident_answer(incident)),
        timeline=timeline,
        next_cursor=str(timeline[-1].seq) if page.more else None,
    )


def timeline_entry(entry: Entry) -> TimelineEntry:
    """One journal entry; its body is shown even when its kind is newer than this version."""
    body = None if entry.body is None else json.loads(entry.body)
    return TimelineEntry(seq=entry.seq, at=entry.at, kind=entry.kind, actor=entry.actor, body=body)


def approval_answer(approval: ApprovalRow) -> ApprovalAnswer:
    """One request for approval."""
    return ApprovalAnswer.model_validate(approval, from_attributes=True)


def decision_answer(decided: Decided) -> DecisionAnswer:
    """The decision that stands."""
    return DecisionAnswer(approval=approval_answer(decided.approval), sentence=decided.sentence)


def locks_answer(locks: Sequence[Lock]) -> LocksAnswer:
    """Locks, in their order."""
    return LocksAnswer(
        locks=tuple(
            LockAnswer(
                target=lock.held.target,
                incident=lock.held.incident,
                incident_id=lock.held.incident_id,
                run_id=lock.held.run_id,
                playbook_id=lock.held.playbook_id,
                since=lock.held.taken_at,
                kept=lock.kept,
            )
            for lock in locks
        )
    )


def trust_answer(standings: Sequence[Standing]) -> TrustAnswer:
    """How far each rule has earned trust."""
    found = tuple(
        StandingAnswer(
            rule=each.rule_id,
            environment=each.environment,
            mode=each.mode.value,
            cases=each.cases,
            right=each.right,
            wrong=each.wrong,
            unjudged=each.unjudged,
            verified=each.verified,
            not_needed=each.not_needed,
            recurred=each.recurred,
            guards=each.guards,
            since=each.since,
            at_least=each.at_least,
            lacks=each.lacks,
        )
        for each in standings
    )
    return TrustAnswer(standings=found)


def waiting_answer(waiting: Sequence[tuple[Alert, Hold]]) -> WaitingAnswer:
    """Alerts that fire and don't act yet."""
    found = tuple(
        WaitingAlert(
            name=alert.name,
            service=alert.service,
            fingerprint=alert.fingerprint,
            rule=hold.rule_id,
            kind=hold.kind,
            since=hold.since,
            until=hold.until,
        )
        for alert, hold in waiting
    )
    return WaitingAnswer(waiting=found)


def silence_answer(silence: Silence) -> SilenceAnswer:
    """One silence."""
    return SilenceAnswer.model_validate(silence, from_attributes=True)


def silences_answer(silences: Sequence[Silence]) -> SilencesAnswer:
    """Those that haven't ended."""
    return SilencesAnswer(silences=tuple(map(silence_answer, silences)))


def stops_answer(stops: Sequence[Stop]) -> StopsAnswer:
    """All stops in force."""
    found = tuple(StopAnswer.model_validate(stop, from_attributes=True) for stop in stops)
    return StopsAnswer(stops=found)


def positions_answer(states: Sequence[PartitionState]) -> PositionsAnswer:
    """Every partition as the API shows it."""
    return PositionsAnswer(
        positions=tuple(
            PositionAnswer(
                partition=each.partition,
                position=each.position,
                first=each.first,
                end=each.end,
                stopped=each.stopped,
            )
            for each in states
        )
    )


def reposition_answer(done: Repositioned) -> RepositionAnswer:
    """What setting a position came to."""
    return RepositionAnswer(
        partition=done.partition, position=done.position, passed_over=done.passed_over
    )


def balance_answer(balance: Balance) -> BalanceAnswer:
    """Every alert accounted for."""
    return BalanceAnswer.model_validate(balance, from_attributes=True)


def audit_answer(report: AuditReport) -> AuditAnswer:
    """What checking every chain found."""
    return AuditAnswer.model_validate(report, from_attributes=True)


def dead_letter_answer(letter: DeadLetter) -> DeadLetterAnswer:
    """A dead letter without what it holds."""
    return DeadLetterAnswer(
        id=letter.id,
        source=letter.source,
        reason=letter.reason,
        field=letter.field,
        size=len(letter.body) + letter.left_out,
        count=letter.count,
        first_at=letter.first_at,
        last_at=letter.last_at,
        replayed_at=letter.replayed_at,
    )


def dead_letter_page(found: Sequence[DeadLetter], limit: int) -> DeadLetterPage:
    """A page of `limit`, of which one more was asked for to tell whether another follows."""
    page = tuple(dead_letter_answer(each) for each in found[:limit])
    return DeadLetterPage(
        dead_letters=page, next_cursor=page[-1].id if len(found) > limit else None
    )


def dead_letter_content(letter: DeadLetter) -> DeadLetterContent:
    """A dead letter with its beginning, as text that any JSON can hold."""
    shown = letter.body[:SHOWN_BYTES]
    return DeadLetterContent(
        **dict(dead_letter_answer(letter)),
        body=shown.decode(errors="backslashreplace"),
        left_out_bytes=len(letter.body) - len(shown) + letter.left_out,
    )


def replay_answer(replayed: Replayed) -> ReplayAnswer:
    """What a replay came to."""
    return ReplayAnswer(
        dead_letter=dead_letter_answer(replayed.letter),
        replayed=replayed.accepted,
        alerts=replayed.alerts,
        sentence=replayed.sentence,
    )


def change_answer(change: OutsideChange) -> ChangeAnswer:
    """The change as it was kept."""
    return ChangeAnswer(what=change.what, targets=change.targets, services=change.services)
