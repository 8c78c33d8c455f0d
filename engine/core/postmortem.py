"""The postmortem of an incident as Markdown: rendered from the journal alone, so always the same.

Texts from outside (labels, command output) are quoted or fenced: they can't become markup.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from engine.core import events
from engine.core.durations import format_duration
from engine.core.incident import Incident
from engine.core.incident_view import descriptions
from engine.core.journal import Entry, told
from engine.core.run import RunState, fold
from engine.core.sla import ClockName, Sla
from engine.core.timeline import timeline

DETAIL_LIMIT = 4_000
# A storm has any number of alerts, and a run of many looks any number of them.
ALERTS_SHOWN = 50
EVIDENCE_SHOWN = 50

Story = Sequence[tuple[events.Event, datetime, str]]


def postmortem(incident: Incident, entries: Sequence[Entry], sla: Sla) -> str:
    """The whole document. It holds no time of writing: the same chain gives the same text.

    Of a long chain `entries` are the parts that are told; the rest is counted.
    """
    story: Story = told(entries)
    run = fold(incident.run_id, story) if incident.run_id else None
    sections = [
        f"# {incident.name} ({incident.severity.name}): {plain(incident.title)}",
        _summary(incident, run),
        _times(incident, sla),
        _alerts(incident, story),
        _evidence(story),
        _remedy(run, story),
        _left_to_do(incident),
        _timeline(entries),
        _proof(incident, entries),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(incident: Incident, run: RunState | None) -> str:
    rows = [
        ("service", incident.service),
        ("environment", incident.environment),
        ("team", incident.team),
        ("rule", incident.rule_id),
        ("status", incident.status),
    ]
    if run is not None:
        mode = f"{run.mode.value} (decided by {run.mode_decided_by})"
        outcome = f"{run.outcome or 'under way'}: {run.outcome_reason}"
        rows += [("playbook", run.playbook_id), ("mode", mode), ("outcome", outcome)]
    lines = [f"| {name} | {plain(value)} |" for name, value in rows if value]
    return "\n".join(["## Summary", "", "| what | |", "|---|---|", *lines])


def _times(incident: Incident, sla: Sla) -> str:
    promised = sla.within.get(incident.severity, {})
    moments: list[tuple[str, ClockName, datetime | None]] = [
        ("acknowledged", "acknowledge", incident.acknowledged_at),
        ("mitigated (verified)", "mitigate", incident.mitigated_at),
        ("resolved", "resolve", incident.resolved_at),
    ]
    lines = ["## Times", "", "| from the alert until | took | SLA |", "|---|---|---|"]
    for name, clock, at in moments:
        took = at - incident.opened_at if at else None
        lines.append(f"| {name} | {_spelled(took)} | {_kept(took, promised.get(clock))} |")
    return "\n".join(lines)


def _spelled(took: timedelta | None) -> str:
    if took is None:
        return "never"
    if took < timedelta(seconds=10):
        return f"{took.total_seconds():.1f}s"
    return format_duration(timedelta(seconds=round(took.total_seconds())))


def _kept(took: timedelta | None, promised: timedelta | None) -> str:
    if promised is None:
        return "no promise"
    word = "kept" if took is not None and took <= promised else "missed"
    return f"{word} ({format_duration(promised)})"


def _alerts(incident: Incident, story: Story) -> str:
    told = [
        alert
        for event, _, _ in story
        if isinstance(event, events.OccurrenceJoined)
        for alert in event.alerts
    ][:ALERTS_SHOWN]
    if not told:
        return ""
    lines = ["## Alerts", ""]
    for alert in told:
        labels = alert.get("labels")
        shown = sorted(labels.items()) if isinstance(labels, dict) else []
        spelled = ", ".join(f"{code(f'{name}={value}')}" for name, value in shown)
        lines.append(f"- {code(str(alert.get('name', '')))} since {alert['starts_at']}: {spelled}")
    if incident.occurrences > len(told):
        lines.append(f"- and {incident.occurrences - len(told)} more")
    return "\n".join(lines)


def _evidence(story: Story) -> str:
    seen = [
        event
        for event, _, _ in story
        if isinstance(event, events.StepObserved) and event.phase == "investigate"
    ]
    if not seen:
        return ""
    lines = ["## Evidence before"]
    for event in seen[:EVIDENCE_SHOWN]:
        lines += ["", f"{code(event.description or event.step_id)}: {event.outcome}"]
        lines += _fenced(event.evidence or event.error)
    if len(seen) > EVIDENCE_SHOWN:
        lines += ["", f"and {len(seen) - EVIDENCE_SHOWN} more"]
    return "\n".join(lines)


def _remedy(run: RunState | None, story: Story) -> str:
    if run is None or run.plan is None:
        return ""
    lines = ["## Remedy", "", f"Plan `{run.plan_hash}`", ""]
    lines += [f"1. {code(text)}" for text in descriptions(run.plan, "steps")]
    if run.approval is not None:
        who = run.approval.actor or "nobody"
        lines += ["", f"Approval: {run.approval.decision or 'pending'} by {plain(who)}"]
    attempts = [event for event, _, _ in story if isinstance(event, events.AttemptEnded)]
    for event in attempts[:EVIDENCE_SHOWN]:
        lines += ["", f"{code(event.step_id)}: {event.outcome}. {plain(event.error)}".rstrip()]
        lines += _fenced(event.evidence)
    if len(attempts) > EVIDENCE_SHOWN:
        lines += ["", f"and {len(attempts) - EVIDENCE_SHOWN} more"]
    lines += ["", "### Verification", ""]
    lines += [
        f"- {code(step.description)} until {code(step.until)}" for step in run.plan.of("verify")
    ]
    if run.verified is not None:
        word = "held" if run.verified else "failed"
        lines += ["", f"It {word}: {plain(run.verification_reason)}"]
    return "\n".join(lines)


def _left_to_do(incident: Incident) -> str:
    lines = [f"- {plain(what)}" for what in incident.follow_ups.values()]
    return "\n".join(["## Left to do", "", *lines]) if lines else ""


def _timeline(entries: Sequence[Entry]) -> str:
    lines = ["## Timeline", "", "| UTC | who | what |", "|---|---|---|"]
    lines += [
        f"| {line.at:%Y-%m-%d %H:%M:%S} | {plain(line.actor)} | {plain(line.text)} |"
        for line in timeline(entries)
    ]
    return "\n".join(lines)


def _proof(incident: Incident, entries: Sequence[Entry]) -> str:
    if not entries:
        return ""
    head = entries[-1]
    return (
        f"## Proof\n\nChain `{head.chain}`, {head.seq} entries, head `{head.entry_hash}`. "
        "`quell audit verify` checks it."
    )


def plain(text: str) -> str:
    """Text from outside on one line, with Markdown's and HTML's marks disarmed."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def code(text: str) -> str:
    """Text from outside as inline code, on one line."""
    return "`" + " ".join(text.replace("`", "'").replace("|", "\\|").split()) + "`"


def _fenced(text: str) -> list[str]:
    if not text.strip():
        return []
    cut = text[:DETAIL_LIMIT] + ("\n… (cut)" if len(text) > DETAIL_LIMIT else "")
    fence = "```"
    while fence in cut:
        fence += "`"
    return ["", fence + "text", cut.rstrip("\n"), fence]
