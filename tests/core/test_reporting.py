"""Whatever the other side sent, an entry stays bounded."""

import pytest
from pydantic import JsonValue

from engine.core.actions import Call, Effect, Result
from engine.core.evaluating import Answer
from engine.core.json_value import Json
from engine.core.reporting import (
    EVIDENCE_LIMIT,
    OUTPUT_LIMIT,
    Ending,
    attempt_ended,
    bounded,
    observed,
    prepared,
)
from tests.doubles.runs import a_plan, a_playbook

STEP = a_plan(a_playbook()).of("steps")[0]
FLOOD = Result(succeeded=True, outputs={"stdout": "x" * 10**6}, evidence="y" * 10**6)


def test_a_planned_step_is_prepared_as_it_was_planned() -> None:
    found = prepared(STEP)
    assert (found.effect, found.description, found.targets) == (
        Effect.CHANGE,
        STEP.description,
        STEP.targets,
    )


def test_a_flood_is_cut_in_reads_and_changes() -> None:
    read = observed("run", "investigate", STEP, FLOOD)
    call = Call(prepared(STEP), "a", 60)
    change = attempt_ended("run", STEP, call, Ending(FLOOD, "succeeded"))
    for event in (read, change):
        assert len(str(event.outputs["stdout"])) == OUTPUT_LIMIT
        assert len(event.evidence) == EVIDENCE_LIMIT


def test_a_read_says_whether_it_holds_and_why_not() -> None:
    answer = Answer(holds=False, reason="result.ok is false")
    event = observed("run", "verify", STEP, Result(succeeded=True), answer=answer)
    assert (event.outcome, event.holds, event.error) == ("succeeded", False, "result.ok is false")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": ("b",)}, {"a": ["b"]}),
        (("x", {"y": None}), ["x", {"y": None}]),
        (True, True),
        (1.5, 1.5),
    ],
    ids=["mapping", "tuple", "bool", "number"],
)
def test_outputs_become_plain_json(value: Json, plain: JsonValue) -> None:
    assert bounded({"v": value}) == {"v": plain}
