"""What counts as right and wrong, and when a rule has earned more."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from engine.core import events
from engine.core.incident import Incident, opened
from engine.core.severity import Mode
from engine.core.trust import Case, Standing, Story, case_of, order_of, standings, usual_durations
from tests.doubles import runs
from tests.doubles.runs import START
from tests.doubles.stories import OPENED

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def created(mode: Literal["observe", "approve"]) -> events.RunCreated:
    return runs.created(mode, "r", {"host": "gpu-07"})


def ended(outcome: events.RunOutcome, **more: object) -> events.RunEnded:
    words = {"run_id": "r", "outcome": outcome, "reason": "because", "changed": False, **more}
    return events.RunEnded.model_validate(words)


def incident(resolved_after: timedelta | None = None) -> Incident:
    resolved_at = None if resolved_after is None else START + resolved_after
    return replace(opened(OPENED, START), resolved_at=resolved_at)


def judged(
    of: Incident, *story: events.Event, by_hand: tuple[timedelta, ...] = ()
) -> tuple[str, str]:
    told: Story = [(event, START, "engine") for event in story]
    orders = {order_of(created("observe")): [START + each for each in by_hand]}
    case = case_of(of, told, {"restart": 2 * MINUTE}, orders)
    assert case is not None
    return case.verdict, case.why


@pytest.mark.parametrize(
    ("cleared", "by_hand", "verdict"),
    [
        pytest.param(MINUTE, (), "wrong", id="cleared-by-itself"),
        pytest.param(2 * MINUTE, (), "unjudged", id="took-as-long"),
        pytest.param(None, (3 * MINUTE,), "right", id="a-person-did-the-same"),
        pytest.param(5 * MINUTE, (6 * MINUTE,), "unjudged", id="after-it-was-over"),
        pytest.param(None, (MINUTE,), "unjudged", id="faster-than-the-playbook"),
        pytest.param(MINUTE, (MINUTE / 2,), "wrong", id="over-before-it-would-have-ended"),
    ],
)
def test_what_a_rule_that_observes_would_have_done(
    cleared: timedelta | None, by_hand: tuple[timedelta, ...], verdict: str
) -> None:
    story = (created("observe"), ended("skipped"))
    assert judged(incident(cleared), *story, by_hand=by_hand)[0] == verdict


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (ended("succeeded", changed=True), ("right", "verified")),
        (ended("not_needed"), ("wrong", "the precheck held: nothing was to be mended")),
        (ended("failed", changed=True), ("wrong", "because")),
        (ended("skipped"), ("wrong", "because")),
        (ended("skipped", by_guard="lock"), ("unjudged", "stopped by guard lock")),
        (ended("expired"), ("unjudged", "because")),
        (ended("cancelled"), ("unjudged", "because")),
    ],
)
def test_what_a_run_came_to(end: events.RunEnded, verdict: tuple[str, str]) -> None:
    assert judged(incident(), created("approve"), end) == verdict


def test_a_person_has_the_last_word() -> None:
    first = events.RunJudged(run_id="r", verdict="right")
    last = events.RunJudged(run_id="r", verdict="wrong", reason="the other host")
    story = (created("approve"), ended("succeeded"), first, last)
    assert judged(incident(), *story) == ("wrong", "engine: the other host")
    rejected = events.ApprovalDecided(
        run_id="r", approval_id="a", plan_hash="h", decision="rejected", via="cli", reason="no"
    )
    told = judged(incident(), created("approve"), rejected, ended("cancelled"))
    assert told == ("wrong", "rejected by engine: no")


def test_an_incident_without_a_run_is_no_case() -> None:
    assert case_of(incident(), [], {}, {}) is None


def test_only_runs_that_changed_something_tell_how_long_a_playbook_takes() -> None:
    story: Story = [
        (created("approve"), START, "engine"),
        (ended("succeeded", changed=True), START + 3 * MINUTE, "engine"),
    ]
    idle: Story = [(created("approve"), START, "engine"), (ended("skipped"), START, "engine")]
    assert usual_durations([story, idle]) == {"restart": 3 * MINUTE}


def a_case(days: float, **more: object) -> Case:
    known = Case(
        "INC-1", "down", "prod", Mode.APPROVE, START + days * DAY, "right", "", "succeeded", "", "p"
    )
    return replace(known, **more)  # type: ignore[arg-type]


def standing(*cases: Case, days: int = 31) -> Standing:
    (found,) = standings(cases, START + days * DAY)
    return found


def test_thirty_five_right_ones_over_a_month_are_enough_and_not_one_less() -> None:
    found = standing(*(a_case(0) for _ in range(35)))
    assert found.lacks == ""
    assert found.at_least >= 0.90
    fewer = standing(*(a_case(0) for _ in range(34)))
    assert (fewer.lacks, fewer.at_least < 0.90) == ("34 of 35 judged", True)
    assert standing(*(a_case(0) for _ in range(35)), days=29).lacks == "29 of 30 days"
    wrong = standing(*(a_case(0) for _ in range(60)), a_case(1, verdict="wrong"))
    assert wrong.lacks == "one that was wrong"
    assert standing(*(a_case(0, mode=Mode.AUTO) for _ in range(35))).lacks == "it is auto already"


def test_counts_are_by_rule_and_environment() -> None:
    found = standings(
        [
            a_case(0),
            a_case(0.5, outcome="not_needed", verdict="wrong"),
            a_case(3, outcome="skipped", by_guard="lock", verdict="unjudged"),
            a_case(3, environment="staging"),
        ],
        START + 4 * DAY,
    )
    assert [each.environment for each in found] == ["prod", "staging"]
    prod = found[0]
    counts = (prod.cases, prod.right, prod.wrong, prod.unjudged, prod.verified, prod.not_needed)
    assert counts == (3, 1, 1, 1, 1, 1)
    assert (prod.recurred, prod.guards) == (1, {"lock": 1})
