"""What counts as taken by no rule, and how it is counted."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.cli.options import DATA
from engine.cli.unmatched import Unmatched, unmatched
from engine.core import events
from engine.core.incident import opened
from engine.core.rule import NO_OTHER_RULE
from engine.errors import NotFoundError
from engine.gateway.answers import incident_answer
from engine.ports.api import IncidentStory, TimelineEntry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_incident(
    number: int, *names: str, rule: str = "unmatched", reason: str = NO_OTHER_RULE, more: int = 0
) -> IncidentStory:
    """INC-number of `service-number`, whose alerts joined one a minute after it opened."""
    first = events.IncidentOpened(
        incident_id=f"id-{number}",
        number=number,
        correlation_key="key",
        partition_key="key",
        rule_id=rule,
        severity="P3",
        title="title",
        mode="suggest",
        service=f"service-{number}",
        reasons=(reason, "P3"),
    )
    at = NOW + timedelta(hours=number)
    told = tuple({"name": name, "source": "am", "labels": {}, "annotations": {}} for name in names)
    ids = tuple(f"o{each}" for each in range(len(names) + more))
    joined = events.OccurrenceJoined(occurrence_ids=ids, digest="d", alerts=told)
    timeline = tuple(
        TimelineEntry(
            seq=seq,
            at=at + timedelta(minutes=seq),
            kind=event.KIND,
            actor="engine",
            body=event.model_dump(mode="json"),
        )
        for seq, event in enumerate((first, joined))
    )
    return IncidentStory(**dict(incident_answer(opened(first, at))), timeline=timeline)


def asked(*stories: IncidentStory, data: Path = DATA) -> tuple[Sequence[Unmatched], int, list[str]]:
    """What is found, what isn't told, and which stories were read."""
    read: list[str] = []

    def story(prefix: str, *, cursor: str = "") -> IncidentStory:
        read.append(prefix)
        for each in stories:
            if each.id == prefix:
                return each
        raise NotFoundError(prefix)

    newest_first = sorted(stories, key=lambda each: -each.number)
    found, untold = unmatched(newest_first, story, data)
    return found, untold, read


def test_alerts_of_one_name_are_counted_together_newest_first() -> None:
    found, untold, _ = asked(
        an_incident(1, "DoorOpen", "DoorOpen", "FanNoisy"),
        an_incident(2, "DoorOpen", more=7),
        an_incident(3, "RackHot"),
    )
    assert [(each.name, each.alerts, each.incident) for each in found] == [
        ("RackHot", 1, "INC-3"),
        ("DoorOpen", 3, "INC-2"),
        ("FanNoisy", 1, "INC-1"),
    ]
    assert found[1].services == ("service-2", "service-1")
    assert found[1].newest_at == NOW + timedelta(hours=2, minutes=1)
    assert untold == 7


def test_what_another_rule_took_is_left_out_and_looked_at_once() -> None:
    taken = [an_incident(n, "A", rule="r", reason='matched alertname="A"') for n in range(1, 9)]
    found, untold, read = asked(*taken, an_incident(9, "B"))
    assert [each.name for each in found] == ["B"]
    assert untold == 0
    assert read.count("id-8") == 1
    assert not {f"id-{n}" for n in range(1, 8)} & set(read)


def test_an_incident_whose_beginning_was_erased_hides_no_other() -> None:
    erased = an_incident(2, "A")
    first, joined = erased.timeline
    timeline = (first.model_copy(update={"body": None}), joined)
    erased = erased.model_copy(update={"timeline": timeline})
    found, _, _ = asked(an_incident(1, "B"), erased)
    assert [each.name for each in found] == ["B"]


@pytest.mark.parametrize(
    ("names", "data", "command"),
    [
        (["A"], DATA, "quell new rule --from INC-1"),
        (["A", "B"], DATA, "quell new rule --from INC-1 --alert A"),
        (["A b; rm", "B"], DATA, "quell new rule --from INC-1 --alert 'A b; rm'"),
        (["A"], Path("other"), "quell new rule --from INC-1 --data other"),
        (["", "A"], DATA, ""),
    ],
)
def test_the_command_names_what_it_has_to(names: list[str], data: Path, command: str) -> None:
    found, _, _ = asked(an_incident(1, *names), data=data)
    (one,) = [each for each in found if each.name == names[0]]
    assert one.command == command
