"""A whole incident as its chain, from the first alert to the ticket."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from engine.core import events
from engine.core.incident import Incident, apply, opened
from engine.core.journal import GENESIS, Entry, NewEntry, seal
from tests.doubles.runs import START, Drive, a_playbook, a_step

OPENED = events.IncidentOpened(
    incident_id="incident",
    number=1,
    correlation_key="key",
    partition_key="llm",
    rule_id="vllm-not-answering",
    severity="P1",
    title="LLM <b>endpoint</b> | down",
    mode="approve",
    service="llm",
    environment="production",
    postmortem=True,
)
JOINED = events.OccurrenceJoined(
    occurrence_ids=("o1", "o2"),
    digest="d",
    alerts=(
        {
            "name": "LLMEndpointDown",
            "labels": {"service": "llm", "evil": "`x` | [y](z)"},
            "starts_at": START.isoformat(),
        },
    ),
)


def a_story() -> tuple[Incident, Sequence[Entry]]:
    """The incident after its last entry, and the chain."""
    drive = Drive(a_playbook(a_step("restart"), investigate=(a_step("gpu", "investigate"),)))
    drive.until_interesting()
    drive.now += timedelta(minutes=2)
    drive.decide("approved")
    attempt = drive.to_first_attempt()
    intent = drive.intend(attempt)
    drive.now += timedelta(seconds=4)
    drive.write(
        events.AttemptEnded(
            run_id="run",
            attempt_id=intent.attempt_id,
            phase="steps",
            step_id="restart",
            outcome="succeeded",
            evidence="restarted ``` and more\n<script>",
            duration_s=4.0,
        )
    )
    drive.until_interesting(holds=True)
    end = drive.now
    story = [
        (OPENED, START, "engine"),
        (JOINED, START, "engine"),
        *drive.story,
        (events.OccurrenceEnded(occurrence_ids=("o1", "o2"), by="source"), end, "engine"),
        (events.IncidentResolved(), end, "engine"),
        (events.PostmortemWritten(path="postmortems/INC-1.md", sha256="0"), end, "engine"),
        (events.TicketOpened(tracker="jira", key="OPS-1", url="https://j/OPS-1"), end, "engine"),
    ]
    return told(story)


def told(
    story: Sequence[tuple[events.Event, datetime, str]],
) -> tuple[Incident, Sequence[Entry]]:
    """These events as a chain, and the incident that they make."""
    incident = opened(OPENED, START)
    entries: list[Entry] = []
    prev = GENESIS
    for seq, (event, at, actor) in enumerate(story, start=1):
        entry = seal(NewEntry(event, at, actor), "incident/incident", seq, prev, b"s" * 16)
        entries.append(entry)
        prev = entry.entry_hash
        incident = apply(incident, event, at)
    return incident, entries
