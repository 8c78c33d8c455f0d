"""Recovery is folding: the same entries give the same state, in pieces or at once."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.core import events
from engine.core.run import fold
from engine.core.run_commands import Attempt, Ended, Record
from tests.doubles.runs import RUN, Drive, a_playbook, a_step


def a_story() -> Drive:
    drive = Drive(a_playbook(a_step("drain"), a_step("restart")), repeat="probe")
    drive.end(drive.intend(drive.to_first_attempt()), "succeeded")
    command = drive.until_interesting()
    assert isinstance(command, Attempt)
    drive.end(drive.intend(command), "succeeded")
    assert isinstance(drive.until_interesting(holds=True), Ended)
    return drive


STORY = a_story().story


@given(st.lists(st.integers(0, len(STORY)), max_size=6))
def test_folding_in_pieces_is_folding_at_once(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(STORY)]
    state = None
    for start, end in pairwise(bounds):
        state = fold(RUN, STORY[start:end], state)
    assert state == fold(RUN, STORY)


def test_entries_of_other_runs_and_of_the_incident_are_passed_over() -> None:
    at = STORY[-1][1]
    foreign: list[events.Event] = [
        events.RunEnded(run_id="other", outcome="failed", reason=""),
        events.IncidentAcknowledged(),
    ]
    assert fold(RUN, [*STORY, *((event, at, "x") for event in foreign)]) == fold(RUN, STORY)


def test_the_hash_of_a_plan_is_that_of_its_text_whatever_the_entry_says() -> None:
    said = [
        (event.model_copy(update={"plan": event.plan + " "}), at, by)
        if isinstance(event, events.RunPlanned)
        else (event, at, by)
        for event, at, by in STORY
    ]
    before, after = fold(RUN, STORY), fold(RUN, said)
    assert before is not None
    assert after is not None
    assert before.plan == after.plan
    assert before.plan_hash != after.plan_hash


def test_without_its_first_entry_there_is_no_run() -> None:
    assert fold("other", STORY) is None


def test_a_decision_of_another_request_decides_nothing() -> None:
    drive = Drive(a_playbook())
    assert isinstance(drive.until_interesting(), Record)
    drive.write(
        events.ApprovalDecided(
            run_id=RUN, approval_id="other", plan_hash="x", decision="approved", via="cli"
        )
    )
    approval = drive.state.approval
    assert approval is not None
    assert approval.decision is None


def test_an_attempt_is_open_until_its_end_is_known() -> None:
    drive = Drive(a_playbook())
    intent = drive.intend(drive.to_first_attempt())
    assert drive.state.step("steps", "restart").outcome == "open"
    drive.now += timedelta(seconds=1)
    drive.end(intent, "failed", begun=False)
    known = drive.state.step("steps", "restart")
    assert (known.outcome, known.repeatable, known.attempts) == ("failed", True, 1)
