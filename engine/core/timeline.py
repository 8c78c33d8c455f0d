"""A sentence for each entry of an incident's chain, the same on every surface."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.core import events
from engine.core.durations import format_duration
from engine.core.journal import Entry
from engine.core.still_firing import Confirmation
from engine.core.stops import what_is_stopped

GAP = "gap"
_DONE = {"acknowledge": "acknowledged", "mitigate": "mitigated", "resolve": "resolved"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a timeline; `detail` is longer text (a command's output), "" when none."""

    at: datetime
    actor: str
    kind: str
    text: str
    detail: str = ""


@dataclass(slots=True)
class Narrator:
    """Tells the events of one chain in their order: some sentences tell of what came before.

    `under_way` are the steps whose attempt began and has no end yet, by its id, each with the
    moment until which it may be at work.
    """

    under_way: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    _ran: bool = False

    def tells(self, event: events.Event, actor: str, at: datetime) -> tuple[str, str]:
        """(sentence, detail) of the next event."""
        text, detail = sentence(event, actor)
        return text + self._adds(event, at), detail

    def _adds(self, event: events.Event, at: datetime) -> str:
        match event:
            case events.AttemptIntended():
                self.under_way[event.attempt_id] = event.step_id, events.moment(event.not_after)
            case events.AttemptEnded():
                _, bound = self.under_way.pop(event.attempt_id, ("", at))
                if event.outcome == "unknown" and at < bound:
                    return f"; nothing follows before {bound:%H:%M:%S} UTC"
            case events.RunEnded():
                self._ran = True
            case events.IncidentReopened() if self._ran:
                return "; its playbook ran already, and starts again only by hand"
            case _:
                pass
        return ""


def timeline(entries: Iterable[Entry]) -> list[Line]:
    """The entries as lines; one that this version doesn't know, or that was erased, says so.

    Where entries of the chain are not among them, a line of kind GAP says how many.
    """
    lines: list[Line] = []
    seq, narrator = 0, Narrator()
    for entry in entries:
        if seq and (left_out := entry.seq - seq - 1):
            what = "1 entry is" if left_out == 1 else f"{left_out} entries are"
            lines.append(Line(entry.at, "", GAP, f"… {what} not shown here"))
        seq = entry.seq
        event = entry.event()
        if event is None:
            gone = "erased" if entry.body is None else f"unknown to this version: {entry.kind}"
            lines.append(Line(entry.at, entry.actor, entry.kind, gone))
            continue
        text, detail = narrator.tells(event, entry.actor, entry.at)
        lines.append(Line(entry.at, entry.actor, entry.kind, text, detail))
    return lines


def sentence(event: events.Event, actor: str) -> tuple[str, str]:  # noqa: C901 - a table
    """(sentence, detail) of one event by itself."""
    match event:
        case events.IncidentOpened():
            return f"opened as {event.severity} by rule {event.rule_id}: {event.title}", ""
        case events.OccurrenceJoined():
            names = sorted({str(alert.get("name", "")) for alert in event.alerts})
            return f"{_many(event.occurrence_ids, 'alert')} firing: {', '.join(names)}", ""
        case events.OccurrenceEnded():
            how = "resolved by the source" if event.by == "source" else "expired without a refresh"
            return f"{_many(event.occurrence_ids, 'alert')} {how}", ""
        case events.IncidentResolved():
            return "resolved: nothing fires any more", ""
        case events.IncidentReopened():
            return "fires again: reopened", ""
        case events.IncidentClosed():
            return "closed", ""
        case events.IncidentAcknowledged():
            return f"acknowledged by {actor}" + (f": {event.note}" if event.note else ""), ""
        case events.RunCreated():
            mode = f"{event.mode} mode, decided by {event.mode_decided_by}"
            return f"playbook {event.playbook_id} starts ({mode})", ""
        case events.StepObserved():
            return _observed(event)
        case events.QuestionAsked() | events.QuestionAnswered():
            return _of_question(event, actor), ""
        case events.RunPlanned():
            holes = f", {len(event.holes)} holes" if event.holes else ""
            return f"plan {event.plan_hash[:12]} made ({event.mode} mode{holes})", ""
        case events.ApprovalRequested():
            until = events.moment(event.expires_at)
            why = f", because {event.why}" if event.why else ""
            asked = f"approval asked from {', '.join(event.ask)} until {until:%H:%M:%S} UTC"
            return asked + why, ""
        case events.ApprovalDecided():
            if event.decision == "expired":
                return "the request for approval expired", ""
            why = f": {event.reason}" if event.reason else ""
            return f"{event.decision} by {actor} (via {event.via}){why}", ""
        case events.AttemptIntended():
            return f"{event.step_id}: {event.description}", ""
        case events.AttemptEnded():
            return _attempted(event), event.evidence
        case events.AttemptProbed():
            return f"{event.step_id} probed: {event.answer.replace('_', ' ')}", event.evidence
        case events.StepSkipped():
            return f"{event.step_id} skipped: {event.reason}", ""
        case events.DeadlinePassed():
            return event.reason, ""
        case events.StepWaiting():
            return f"{event.step_id} waits until {events.moment(event.until):%H:%M:%S} UTC", ""
        case events.VerificationStarted():
            return "verifying", ""
        case events.VerificationEnded():
            return f"verification {'held' if event.holds else 'failed'}: {event.reason}", ""
        case events.RunCancelled():
            return f"cancelled by {actor}: {event.reason}", ""
        case events.RunEnded():
            return f"run {event.outcome.replace('_', ' ')}: {event.reason}", _given(event)
        case events.MessageSent():
            return f"message sent by {event.notifier}", ""
        case events.PostmortemWritten():
            return f"postmortem written: {event.path}", ""
        case events.TicketOpened():
            return f"ticket {event.key} opened in {event.tracker}", ""
        case _:
            told = _correlated(event) or _beside_changes(event, actor)
            return told or _outside_incidents(event, actor), ""


def _attempted(event: events.AttemptEnded) -> str:
    error = f": {event.error}" if event.error else ""
    # Of an attempt whose worker was gone nobody knows how long it took.
    timed = event.duration_s or event.outcome != "unknown"
    took = f" after {event.duration_s:.1f} s" if timed else ""
    return f"{event.step_id} {event.outcome}{took}{error}"


def _given(event: events.RunEnded) -> str:
    return "\n".join(f"{name}: {value}" for name, value in event.outputs.items())


def _of_question(event: events.QuestionAsked | events.QuestionAnswered, actor: str) -> str:
    if isinstance(event, events.QuestionAsked):
        until = f"until {events.moment(event.expires_at):%H:%M:%S} UTC"
        choices = ", ".join(event.choices)
        return f"{event.step_id} asks {', '.join(event.ask)} {until}: {event.question} ({choices})"
    if not event.answer:
        return f"nobody answered {event.step_id} in time"
    why = f": {event.reason}" if event.reason else ""
    return f"{event.step_id} answered by {actor} (via {event.via}): {event.answer}{why}"


def _correlated(event: events.Event) -> str:
    """What rules make of many alerts together; "" for anything else."""
    match event:
        case events.OccurrenceAbsorbed():
            return f"{_many(event.occurrence_ids, 'alert')} explained by {event.cause}"
        case events.IncidentAbsorbed():
            return f"closed: {event.cause} explains it and goes on instead"
        case events.IncidentFlapping():
            within = format_duration(timedelta(seconds=event.within_s))
            stable = format_duration(timedelta(seconds=event.stable_for_s))
            often = f"began {event.started} times within {within}"
            return f"flaps: {often}; stays open until nothing has fired for {stable}"
        case events.SlaMissed():
            within = format_duration(timedelta(seconds=event.within_s))
            return f"not {_DONE[event.clock]} within {within}, as {event.severity} promises"
        case events.SeverityRaised():
            return f"raised to {event.severity}: {event.reason}"
        case _:
            return ""


def _beside_changes(event: events.Event, actor: str) -> str:
    """What a run waits for, meets, or leaves to people; "" for anything else."""
    match event:
        case events.StillFiringAsked():
            return told_of_firing(Confirmation(event.answer, event.basis, event.detail))
        case events.RunJudged():
            why = f": {event.reason}" if event.reason else ""
            return f"a person marked the run {event.verdict}{why}"
        case events.RunHeldBack():
            return f"waits: {event.reason}"
        case events.AlertsExpected():
            what, where = ", ".join(event.matchers), ", ".join(filter(None, event.targets))
            return f"expects alerts of {where}, which wait meanwhile: {what}"
        case events.RevertCalledOff():
            return f"{actor} lets stay what was for the moment: {event.reason}"
        case events.FollowUpOpened():
            return f"left to do: {event.reason}"
        case events.FollowUpDone():
            return f"nothing is left to do: {event.reason}".rstrip(": ")
        case events.RunParked():
            return (
                f"a person should look: advancing the run failed {event.failures} times, and is "
                f"tried on: {event.error}"
            )
        case _:
            return ""


def _outside_incidents(event: events.Event, actor: str) -> str:  # noqa: C901 - a table
    """What is written into the chains `system` and `access`."""
    match event:
        case events.CheckpointSigned():
            return f"checkpoint {event.number} over {_many(event.heads, 'chain')}"
        case events.DeadLetterReplayed():
            return f"dead letter from {event.source} replayed by {actor}"
        case events.PositionSet():
            passed = f"{event.passed_over} records passed over by {actor}: {event.reason}"
            return f"partition {event.partition} of the stream goes on at {event.to}, {passed}"
        case events.SilenceSet():
            what = ", ".join(event.matchers)
            return f"silence over {what} until {event.ends_at}, by {actor}: {event.comment}"
        case events.SilenceEnded():
            return f"silence {event.silence_id[:8]} ended by {actor}: {event.reason}"
        case events.StopOrdered():
            what = what_is_stopped(event.scope, event.name)
            return f"{what} stopped by {actor}: {event.reason}"
        case events.LockReleased():
            return f"{', '.join(event.targets)} let go by {actor}: {event.reason}".rstrip(": ")
        case events.BreakerTried():
            what = event.playbook_id + (f" on {event.target}" if event.target else "")
            return f"one more run may try {what}, by {actor}: {event.reason}".rstrip(": ")
        case events.ChangeTold():
            where = ", ".join((*event.targets, *event.services))
            return f"{event.what} changed {where}, told by {actor}: {event.reason}".rstrip(": ")
        case events.StormBraked():
            return f"storm brake on, so auto asks: {event.reason}"
        case events.BrakeLifted():
            return f"storm brake lifted by {actor}: {event.reason}".rstrip(": ")
        case events.ModesRaised():
            raised = "; ".join(event.raised)
            return f"{actor} raised what waits for a second person: {raised}"
        case events.ModesAccepted():
            raised = "; ".join(event.raised) or "the modes as the files say"
            return f"accepted by {actor}: {raised}"
        case events.StopLifted():
            what = what_is_stopped(event.scope, event.name)
            return f"{what} may act again, by {actor}: {event.reason}"
        case _:
            return event.KIND


def told_of_firing(confirmation: Confirmation) -> str:
    """Whether it still fires, and who told."""
    told = f" ({confirmation.detail})" if confirmation.detail else ""
    match confirmation.answer:
        case "firing" if confirmation.basis == "source":
            return f"the source says that it still fires{told}"
        case "firing":
            return f"it still fires by its last notice{told}"
        case "resolved":
            return f"the source says that it no longer fires{told}"
        case "cannot_tell":
            return f"nobody can tell whether it still fires{told}"


def _observed(event: events.StepObserved) -> tuple[str, str]:
    if event.holds is not None:
        word = "holds" if event.holds else "does not hold yet"
        when = "precheck " if event.phase == "precheck" else ""
        return f"{when}{event.step_id} {word}" + _because(event.error), event.evidence
    return f"{event.step_id} looked: {event.outcome}" + _because(event.error), event.evidence


def _because(error: str) -> str:
    return f" ({error})" if error else ""


def _many(things: Iterable[object], noun: str) -> str:
    count = len(tuple(things))
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
