import pytest

from tests.doubles.playbooks import PLAYBOOK, changed, compiled

RESTART = PLAYBOOK["steps"][0]
IF = 'steps.gpu.outcome == "succeeded"'


@pytest.mark.parametrize(
    ("condition", "column"),
    [
        pytest.param("steps.restart.exit_code == 0", 1, id="taken for there"),
        pytest.param("true && steps.restart.exit_code == 0", 9, id="in the middle"),
        pytest.param(f"{IF} || steps.restart.exit_code == 0", 37, id="beside the same if"),
        pytest.param(
            'steps.restart.outcome == "succeeded" && steps.restart.exit_code == 0', 0, id="asked"
        ),
        pytest.param(f"{IF} && steps.restart.exit_code == 0", 0, id="behind the same if"),
        pytest.param(f"({IF}) && steps.restart.exit_code == 0", 0, id="behind it in brackets"),
        pytest.param(
            f"{IF} && (false || steps.restart.exit_code == 0)", 0, id="behind it, and one of two"
        ),
        pytest.param(
            f"{IF} && false || steps.restart.exit_code == 0", 46, id="behind it or elsewhere"
        ),
        pytest.param(IF, 0, id="of another step"),
    ],
)
def test_an_output_of_a_step_that_may_not_have_run_is_asked_for_first(
    condition: str, column: int
) -> None:
    after = {**RESTART, "id": "after", "if": condition}
    _, told = compiled(changed("steps", [RESTART, after]))
    assert [(path, at) for path, at, _ in told] == ([("steps/1/if", column)] if column else [])
    assert all("step 'restart' has an `if` and may not have run" in said for _, _, said in told)


def test_a_verification_asks_too() -> None:
    until = "result.ok && steps.restart.exit_code == 0"
    _, told = compiled(changed("verify/0/until", until))
    ((path, column, _),) = told
    assert (path, column) == ("verify/0/until", 14)


def test_what_undoes_a_step_knows_that_it_ran() -> None:
    undo = {**RESTART, "id": "undo", "if": "steps.restart.exit_code == 0"}
    del undo["rollback"]
    _, told = compiled(changed("steps/0/rollback", [undo]))
    assert told == []
