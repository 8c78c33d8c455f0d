"""Every kind of entry has a sentence, and what isn't known says so."""

from dataclasses import replace

import pytest

from engine.core import events
from engine.core.events import EVENTS
from engine.core.timeline import GAP, sentence, timeline
from tests.doubles.runs import START, Drive, a_playbook
from tests.doubles.stories import a_story, told


def test_a_whole_story_reads_from_the_first_alert_to_the_ticket() -> None:
    _, entries = a_story()
    text = "\n".join(line.text for line in timeline(entries))
    for said in (
        "opened as P1 by rule vllm-not-answering",
        "2 alerts firing: LLMEndpointDown",
        "approval asked from role:oncall",
        "approved by slack:T/U (via cli)",
        "restart: host$ restart",
        "restart succeeded after 4.0 s",
        "verification held",
        "run succeeded",
        "ticket OPS-1 opened in jira",
    ):
        assert said in text


def test_where_entries_are_missing_it_says_how_many() -> None:
    _, entries = a_story()
    lines = timeline([*entries[:2], *entries[3:5], *entries[9:]])
    assert [line.text for line in lines if line.kind == GAP] == [
        "… 1 entry is not shown here",
        "… 4 entries are not shown here",
    ]
    assert GAP not in {line.kind for line in timeline(entries)}


def test_who_finds_it_open_again_reads_that_its_playbook_is_not_begun_again() -> None:
    again = (events.IncidentReopened(), START, "engine")
    ran = (events.RunEnded(run_id="run", outcome="succeeded", reason="held"), START, "engine")
    for story, said in (
        ([again], "fires again: reopened"),
        (
            [ran, again],
            "fires again: reopened; its playbook ran already, and starts again only by hand",
        ),
    ):
        assert timeline(told(story)[1])[-1].text == said


@pytest.mark.parametrize(
    ("outcome", "duration_s", "said"),
    [
        ("unknown", 0.0, "restart unknown: the worker stopped"),
        ("unknown", 2.5, "restart unknown after 2.5 s: the worker stopped"),
        ("failed", 0.0, "restart failed after 0.0 s: the worker stopped"),
    ],
)
def test_no_duration_is_told_that_nobody_knows(
    outcome: events.AttemptOutcome, duration_s: float, said: str
) -> None:
    ended = events.AttemptEnded(
        run_id="run",
        attempt_id="a",
        phase="steps",
        step_id="restart",
        outcome=outcome,
        error="the worker stopped",
        duration_s=duration_s,
    )
    assert sentence(ended, "engine") == (said, "")


def test_while_it_may_be_under_way_one_reads_how_long_nothing_follows() -> None:
    drive = Drive(a_playbook())
    drive.end(drive.intend(drive.to_first_attempt()), "unknown")
    intent = next(e for e, _, _ in drive.story if isinstance(e, events.AttemptIntended))
    said = f"; nothing follows before {events.moment(intent.not_after):%H:%M:%S} UTC"
    assert timeline(told(drive.story)[1])[-1].text.endswith(said)
    ended, _, actor = drive.story[-1]
    late = [*drive.story[:-1], (ended, events.moment(intent.not_after), actor)]
    assert "nothing follows" not in timeline(told(late)[1])[-1].text, "it is over"


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_no_kind_is_shown_by_its_technical_name_except_those_of_the_system(kind: str) -> None:
    fields = {name: _sample(name) for name in EVENTS[kind].model_fields}
    event = EVENTS[kind].model_construct(None, **fields)
    text, _ = sentence(event, "somebody")
    assert text
    assert (text == kind) == (kind == events.CatalogActivated.KIND)


def _sample(name: str) -> object:
    if name in ("alerts", "occurrence_ids", "ask", "holes", "raised"):
        return ()
    if name == "outputs":
        return {"latency_s": 0.4}
    if name in ("duration_s", "within_s", "stable_for_s"):
        return 1.0
    if name == "clock":
        return "acknowledge"
    if name == "holds":
        return True
    if name == "answer":
        return "cannot_tell"
    return "2026-01-01T00:00:00+00:00"


def test_an_erased_entry_and_an_unknown_kind_say_so() -> None:
    _, entries = a_story()
    erased, unknown = replace(entries[0], body=None), replace(entries[1], kind="x.y@9")
    texts = [line.text for line in timeline([erased, unknown])]
    assert texts == ["erased", "unknown to this version: x.y@9"]
