"""An incident's journal on the terminal."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from engine.cli.story import event_of, tell_entries, whole
from engine.core import events
from engine.gateway.answers import incident_story, timeline_entry
from engine.ports.api import IncidentStory, TimelineEntry
from engine.ports.commands import Timeline
from tests.doubles.stories import a_story


def story() -> list[TimelineEntry]:
    return [timeline_entry(entry) for entry in a_story()[1]]


def observed(evidence: str, at: datetime) -> TimelineEntry:
    event = events.StepObserved(
        run_id="run",
        phase="investigate",
        step_id="gpu",
        outcome="succeeded",
        evidence=evidence,
    )
    return TimelineEntry(
        seq=99, at=at, kind=event.KIND, actor="engine", body=event.model_dump(mode="json")
    )


@pytest.fixture(autouse=True)
def _no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "")


def test_every_entry_has_its_sentence_and_the_plan_stands_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entries = story()
    tell_entries(entries)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == f"{entries[0].at:%Y-%m-%d} (UTC)"
    assert len([line for line in lines if line[:2].isdigit() and line[2] == ":"]) == len(entries)
    planned = next(i for i, line in enumerate(lines) if " plan " in line and " made " in line)
    assert "change" in lines[planned + 1 : planned + 4] or any(
        line.strip() == "change" for line in lines[planned:]
    )
    assert "restarted ``` and more" in out


def test_what_may_be_under_way_stands_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    entries = story()
    begun = next(n for n, each in enumerate(entries) if each.kind == events.AttemptIntended.KIND)
    intent = event_of(entries[begun])
    assert isinstance(intent, events.AttemptIntended)
    said = f"{intent.step_id} may be under way until {events.moment(intent.not_after):%H:%M:%S} UTC"
    tell_entries(entries[: begun + 1])
    assert capsys.readouterr().out.splitlines()[-1] == said
    tell_entries(entries)
    assert said not in capsys.readouterr().out


def test_who_finds_it_open_again_reads_why_nothing_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    *entries, last = story()
    again = events.IncidentReopened()
    body = again.model_dump(mode="json")
    tell_entries([*entries, last.model_copy(update={"kind": again.KIND, "body": body})])
    assert "its playbook ran already, and starts again only by hand" in capsys.readouterr().out


def test_each_day_has_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    at = story()[0].at
    tell_entries([observed("", at), observed("", at + timedelta(days=1))])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith("(UTC)")] == [
        f"{at:%Y-%m-%d} (UTC)",
        f"{at + timedelta(days=1):%Y-%m-%d} (UTC)",
    ]


@pytest.mark.parametrize(("full", "shown"), [(False, 20), (True, 30)])
def test_long_output_ends_with_how_to_see_the_rest(
    capsys: pytest.CaptureFixture[str], full: bool, shown: int
) -> None:
    evidence = "\n".join(f"line {number}" for number in range(30))
    tell_entries([observed(evidence, story()[0].at)], full=full)
    out = capsys.readouterr().out
    assert out.count("line ") == shown
    assert ("… 10 more lines: --full" in out) == (not full)


def test_output_of_a_host_gives_no_orders_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_entries([observed("\x1b]0;owned\x07 done", story()[0].at)])
    assert r"\x1b]0;owned\x07 done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("run.planned@9", {}, id="newer-kind"),
        pytest.param("run.ended@1", None, id="erased"),
        pytest.param("run.ended@1", {"new": 1}, id="newer-body"),
    ],
)
def test_what_this_version_does_not_know_is_named(
    capsys: pytest.CaptureFixture[str], kind: str, body: dict[str, int] | None
) -> None:
    entry = TimelineEntry(seq=1, at=story()[0].at, kind=kind, actor="engine", body=body)
    assert event_of(entry) is None
    tell_entries([entry])
    assert kind in capsys.readouterr().out


def test_a_story_in_pages_is_put_together_as_it_is_on_the_last_page() -> None:
    entries = tuple(story())
    asked: list[tuple[str, str]] = []

    def incident(prefix: str, *, cursor: str = "") -> IncidentStory:
        asked.append((prefix, cursor))
        begin = int(cursor or 0)
        page = Timeline(a_story()[1][begin : begin + 5], more=begin + 5 < len(entries))
        return incident_story(replace(a_story()[0], runs=len(asked)), page)

    found = whole(incident, "INC-1")
    assert found.timeline == entries
    assert (found.runs, found.next_cursor) == (len(asked), None)
    assert asked[:2] == [("INC-1", ""), (found.id, "5")]
