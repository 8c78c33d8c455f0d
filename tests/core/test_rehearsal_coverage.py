"""What a story shows of a playbook, and an alert of a rule's cases."""

from pathlib import Path

from engine.core import events
from engine.core.rehearsal_coverage import Goal, as_json, covered, goals_of, percent, reached_by
from tests.doubles.declarations import firing
from tests.doubles.runs import created
from tests.doubles.written import MORE_STEPS, RULES, a_catalog

CASES = RULES.replace(
    "severity: P1",
    "severity: [{when: 'alert.environment == \"production\"', is: P1}, {is: P2}]",
)
RAN = {"run_id": "r", "step_id": "restart"}


def playbook_goals(folder: Path) -> list[str]:
    catalog = a_catalog(folder, RULES % "approve", MORE_STEPS).active
    return [goal.what for goal in goals_of(catalog) if goal.kind == "playbook"]


def story(*more: events.Event) -> tuple[events.Event, ...]:
    return (created(run_id="r"), *more)


def intended(step: str) -> events.AttemptIntended:
    return events.AttemptIntended(
        run_id="r",
        attempt_id=f"of {step}",
        phase="steps",
        step_id=step,
        number=1,
        description="d",
        effect="change",
        targets=(),
        not_after="2026-03-01T12:00:00Z",
    )


def test_each_end_of_each_step_and_each_branch_is_a_goal(tmp_path: Path) -> None:
    assert playbook_goals(tmp_path) == [
        "state: succeeded",
        "state: failed",
        "restart: succeeded",
        "restart: failed",
        "restart: unknown",
        "undo: succeeded",
        "undo: failed",
        "undo: unknown",
        "warm: succeeded",
        "warm: failed",
        "warm: unknown",
        "warm: skipped",
        "serves: holds",
        "serves: doesn't hold",
        "ends not needed",
    ]


def test_a_story_reaches_how_its_steps_ended(tmp_path: Path) -> None:
    catalog = a_catalog(tmp_path, RULES % "approve", MORE_STEPS).active
    looked = events.StepObserved(
        run_id="r", phase="verify", step_id="serves", outcome="succeeded", holds=False
    )
    before = looked.model_copy(update={"phase": "precheck", "holds": True})
    ended = events.AttemptEnded(
        run_id="r", attempt_id="of restart", phase="steps", step_id="restart", outcome="unknown"
    )
    skipped = events.StepSkipped(run_id="r", phase="steps", step_id="warm", reason="false")
    over = events.RunEnded(run_id="r", outcome="not_needed", reason="")
    told = story(before, intended("restart"), ended, skipped, looked, over)
    assert reached_by(catalog, [], [told]) == {
        Goal("playbook", "restart", what)
        for what in ("restart: unknown", "warm: skipped", "serves: doesn't hold", "ends not needed")
    }


def test_an_alert_reaches_the_case_that_decides(tmp_path: Path) -> None:
    catalog = a_catalog(tmp_path, CASES % "approve", MORE_STEPS).active
    goals = [goal for goal in goals_of(catalog) if goal.owner == "down"]
    production = 'severity: alert.environment == "production"'
    assert [goal.what for goal in goals] == [
        "opens an incident",
        production,
        "severity: the last case",
    ]
    alert = firing("Down", service="llm", environment="production")
    assert goals[1] in reached_by(catalog, [alert], [])
    assert goals[2] not in reached_by(catalog, [alert], [])
    assert goals[2] in reached_by(catalog, [firing("Down", service="llm")], [])


def test_what_is_missing_is_told_by_playbook_and_rule() -> None:
    goals = [Goal("rule", "a", "x"), Goal("rule", "a", "y"), Goal("playbook", "a", "x")]
    parts = covered(goals, frozenset({goals[0], goals[2], Goal("rule", "gone", "x")}))
    assert [(each.kind, each.reached, each.missing) for each in parts] == [
        ("rule", ("x",), ("y",)),
        ("playbook", ("x",), ()),
    ]
    assert as_json(parts)["percent"] == 66.7
    assert percent([]) == 100.0


def test_what_a_loop_did_for_an_item_counts_for_its_step(tmp_path: Path) -> None:
    catalog = a_catalog(tmp_path, RULES % "approve", MORE_STEPS).active
    seen = events.StepObserved(
        run_id="r", phase="steps", step_id="look[gpu-07]", outcome="succeeded"
    )
    assert reached_by(catalog, [], [story(seen)]) == {
        Goal("playbook", "restart", "look: succeeded")
    }


def test_what_a_called_playbook_did_counts_for_the_call(tmp_path: Path) -> None:
    catalog = a_catalog(tmp_path, RULES % "approve", MORE_STEPS).active
    skipped = events.StepSkipped(
        run_id="r", phase="steps", step_id="mend[gpu-07]/restart", reason="its `if` is false"
    )
    assert Goal("playbook", "restart", "mend: skipped") in reached_by(catalog, [], [story(skipped)])


def test_an_answer_reaches_its_question_and_none_does_not(tmp_path: Path) -> None:
    catalog = a_catalog(tmp_path, RULES % "approve", MORE_STEPS).active
    found = [
        reached_by(
            catalog,
            [],
            [story(events.QuestionAnswered(run_id="r", step_id="which", answer=said, via="cli"))],
        )
        for said in ("vllm", "")
    ]
    assert found == [{Goal("playbook", "restart", "which: succeeded")}, frozenset()]
