"""A run waits for an answer, and goes on with the first one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.questions import Asking
from engine.core.run_commands import MakePlan, Record, Wait
from tests.doubles.runs import START, Drive, a_playbook, a_step

ASKING = Asking("Which one?", ("a", "b"), ("role:oncall",), timedelta(minutes=15))


def asking() -> Drive:
    """Right after somebody was asked."""
    step = replace(a_step("which", "investigate"), uses="", ask=ASKING)
    drive = Drive(a_playbook(investigate=(step,)))
    command = drive.next()
    assert isinstance(command, Record)
    drive.write(command.event)
    assert drive.next() == Wait(START + timedelta(minutes=15), "waiting for an answer to which")
    return drive


def answered(answer: str, via: str = "cli") -> events.QuestionAnswered:
    return events.QuestionAnswered(run_id="run", step_id="which", answer=answer, via=via)


def test_the_first_answer_stands() -> None:
    drive = asking()
    drive.write(answered("b"), "slack:T/U")
    drive.write(answered("a"), "slack:T/V")
    drive.write(answered("", "clock"))
    assert isinstance(drive.next(), MakePlan)
    assert drive.state.evidence["which"].outputs == {"answer": "b"}
    assert drive.state.questions["which"].actor == "slack:T/U"


@pytest.mark.parametrize("seconds", [0, 900])
def test_a_question_that_nobody_answers_ends_the_run_at_its_time(seconds: int) -> None:
    drive = asking()
    drive.now = START + timedelta(seconds=seconds)
    drive.until_interesting()
    assert drive.state.outcome == "expired"
    assert "nobody answered which in time" in drive.state.outcome_reason
    assert drive.now == START + timedelta(minutes=15)


def test_a_cancelled_run_asks_nothing_more() -> None:
    drive = asking()
    drive.write(events.RunCancelled(run_id="run"), "slack:T/U")
    drive.until_interesting()
    assert drive.state.outcome == "cancelled"
