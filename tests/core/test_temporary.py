"""A change for the moment says how it ends; where it stays, somebody hears of it."""

from dataclasses import replace

import pytest

from engine.core import events
from engine.core.temporary import follow_ups
from tests.doubles.playbooks import PLAYBOOK, compiled
from tests.doubles.runs import RUN, Drive, a_playbook, a_step, an_incident

KEPT = replace(a_playbook(a_step("scale")), is_temporary=True, keep="until March")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param({"temporary": True, "keep": "until March"}, "", id="kept"),
        pytest.param({"temporary": True}, "doesn't say how it ends", id="no-end"),
        pytest.param({"keep": "until March"}, "add `temporary: true`", id="for-good"),
        pytest.param({}, "", id="for-good-and-silent"),
    ],
)
def test_what_is_temporary_says_how_it_ends(words: dict[str, object], says: str) -> None:
    playbook, told = compiled({**PLAYBOOK, **words})
    assert [says in message for _, _, message in told] == ([True] if says else [])
    assert (playbook is None) == bool(says)


@pytest.mark.parametrize(
    ("outcome", "holds", "left"),
    [
        ("succeeded", True, ["restart stays: until March"]),
        ("partial", True, ["restart stays: until March"]),
        ("failed", False, []),
    ],
)
def test_a_change_that_helped_and_stays_is_left_to_do(
    outcome: events.RunOutcome, holds: bool, left: list[str]
) -> None:
    drive = Drive(KEPT)
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    drive.until_interesting(holds=holds)
    ended = events.RunEnded(run_id=RUN, outcome=outcome, reason="")
    found = follow_ups(ended, drive.state, an_incident())
    assert [each.reason for each in found if isinstance(each, events.FollowUpOpened)] == left
