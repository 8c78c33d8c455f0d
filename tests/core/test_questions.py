"""A question before the plan: what it may be, and what it gives."""

from typing import Any

import pytest

from tests.doubles.playbooks import PLAYBOOK, changed, compiled

ASK = {"question": "Which one?", "choices": ["vllm", "tgi"]}
USES = {
    **PLAYBOOK["steps"][0],
    "with": {**PLAYBOOK["steps"][0]["with"], "args": {"unit": "${{ steps.which.answer }}"}},
}


def asking(**words: Any) -> tuple[Any, list[tuple[str, int, str]]]:
    document = changed("steps", [{key: each for key, each in USES.items() if key != "if"}])
    document["investigate"] = [{"id": "which", "ask": {**ASK, **words}}]
    return compiled(document)


def test_the_answer_is_an_input_of_a_checked_form() -> None:
    playbook, told = asking(question="Which unit of ${{ params.host }}?")
    assert not told
    (step,) = playbook.investigate
    assert step.ask.choices == ("vllm", "tgi")
    assert step.ask.expires.total_seconds() == 900


@pytest.mark.parametrize(
    ("words", "path", "message"),
    [
        pytest.param({"choices": ["a", "a"]}, "choices", "twice", id="twice"),
        pytest.param({"from": ["alice"]}, "from/0", "'role:oncall'", id="no role"),
        pytest.param({"from": ["role:oncal"]}, "from/0", "did you mean 'oncall'?", id="nobody's"),
        pytest.param({"expires": "soon"}, "expires", "isn't a duration", id="no duration"),
        pytest.param({"question": "${{ params.hots }}"}, "question", "params.host", id="name"),
    ],
)
def test_a_mistake_in_a_question_is_told(words: dict[str, object], path: str, message: str) -> None:
    _, told = asking(**words)
    ((place, _, said),) = told
    assert place == f"investigate/0/ask/{path}"
    assert message in said


def test_people_are_asked_before_the_plan_or_between_its_steps_alone() -> None:
    _, told = compiled(changed("on_cancel", [{"id": "which", "ask": ASK}]))
    said = "`ask` belongs to `investigate` and `steps`, not to `on_cancel`"
    assert ("on_cancel/0/ask", 0, said) in told
