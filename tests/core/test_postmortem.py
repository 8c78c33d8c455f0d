"""The postmortem tells all, always the same, and texts from outside stay texts."""

import pytest

from engine.core.postmortem import code, plain, postmortem
from tests.doubles.promises import a_promise
from tests.doubles.runs import START
from tests.doubles.stories import JOINED, OPENED, a_story, told

SLA = a_promise(15)


def test_it_tells_what_was_seen_done_and_proven() -> None:
    incident, entries = a_story()
    text = postmortem(incident, entries, SLA)
    for said in (
        "# INC-1 (P1)",
        "## Evidence before",
        "`host$ restart`",
        "restarted ``` and more",
        "Approval: approved by slack:T/U",
        "`host$ serves` until `result.ok`",
        "| acknowledged | 2m | kept (15m) |",
        "## Timeline",
        entries[-1].entry_hash,
    ):
        assert said in text, said


def test_the_same_chain_gives_the_same_text() -> None:
    incident, entries = a_story()
    assert postmortem(incident, entries, SLA) == postmortem(incident, entries, SLA)


def test_a_missed_promise_says_so() -> None:
    incident, entries = a_story()
    text = postmortem(incident, entries, a_promise(1))
    assert "missed (1m)" in text


def test_what_nobody_acknowledged_is_never_and_missed() -> None:
    incident, entries = told([(OPENED, START, "engine"), (JOINED, START, "engine")])
    text = postmortem(incident, entries, SLA)
    assert "| acknowledged | never | missed (15m) |" in text


def test_command_output_can_not_leave_its_fence() -> None:
    incident, entries = a_story()
    text = postmortem(incident, entries, SLA)
    assert "````text\nrestarted ``` and more\n<script>\n````" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", "a \\| b"),
        ("<script>", "\\<script\\>"),
        ("[x](y)", "\\[x\\](y)"),
        ("line\nbreak", "line break"),
    ],
)
def test_marks_are_disarmed_in_plain_text(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_code_stays_one_span() -> None:
    assert code("a `b`\nc | d") == "`a 'b' c \\| d`"
