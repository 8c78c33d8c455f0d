"""The hash of a plan is of its bytes; ids of a run's parts are derived."""

import pytest

from engine.core.plan import Plan, approval_id, attempt_id, plan_hash, run_id
from tests.doubles.runs import a_plan, a_playbook, a_step


def test_a_plan_comes_back_from_its_bytes_with_the_same_hash() -> None:
    stored = a_plan(a_playbook()).to_bytes()
    assert Plan.model_validate_json(stored).to_bytes() == stored


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "other"},
        {"revision": 2},
        {"playbook_hash": "other"},
        {"approval_quorum": 2},
        {"guards": {"budget": {"runs": 1}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_a_plan_changes_its_hash(change: dict[str, object]) -> None:
    plan = a_plan(a_playbook())
    changed = plan.model_copy(update=change)
    assert plan_hash(plan.to_bytes()) != plan_hash(changed.to_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"targets": ("other",)},
        {"connection": "other"},
        {"action_version": 2},
        {"payload": {"argv": ["reboot"]}},
        {"effect": "destroy"},
        {"timeout_s": 61.0},
        {"retry_attempts": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_a_step_changes_the_hash(change: dict[str, object]) -> None:
    plan = a_plan(a_playbook(a_step("restart", rollback=(a_step("undo", "rollback"),))))
    for index, step in enumerate(plan.steps):
        steps = [*plan.steps]
        steps[index] = step.model_copy(update=change)
        changed = plan.model_copy(update={"steps": tuple(steps)})
        assert plan_hash(plan.to_bytes()) != plan_hash(changed.to_bytes())


def test_steps_are_found_by_phase() -> None:
    plan = a_plan(a_playbook())
    assert [step.id for step in plan.of("steps", "verify")] == ["restart", "serves"]
    assert plan.step("verify", "serves").until == "result.ok"
    with pytest.raises(KeyError):
        plan.step("steps", "serves")


def test_ids_differ_in_every_part() -> None:
    found = {
        run_id("i", "r", 1),
        run_id("i", "r", 2),
        approval_id("run", 1),
        approval_id("run", 2),
        attempt_id("run", "steps", "a", 1),
        attempt_id("run", "rollback", "a", 1),
        attempt_id("run", "steps", "a", 2),
    }
    assert len(found) == 7
