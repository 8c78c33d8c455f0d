"""Whatever the other side sent, an entry stays bounded."""

import pytest
from pydantic import JsonValue

from engine.core.actions import Call, Effect, Result
from engine.core.bounds import size_of
from engine.core.evaluating import Answer
from engine.core.events.event import BRIEF_LIMIT, EVIDENCE_LIMIT
from engine.core.json_value import Json
from engine.core.reporting import (
    OUTPUT_LIMIT,
    OUTPUTS_LIMIT_BYTES,
    VALUE_LIMIT_BYTES,
    Ending,
    attempt_ended,
    bounded,
    kept_before,
    observed,
    prepared,
)
from engine.errors import PermanentError
from tests.doubles.runs import a_plan, a_playbook

STEP = a_plan(a_playbook()).of("steps")[0]
MUCH = "x" * 10**6
FLOOD = Result(succeeded=True, outputs={"stdout": MUCH}, evidence=MUCH, error=MUCH)


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
        assert event.evidence.endswith("(cut; 1,000,000 characters)")
        assert len(event.error) == BRIEF_LIMIT


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


def test_a_value_that_is_too_large_is_none_and_never_a_part_of_itself() -> None:
    many = list(range(100_000))
    assert bounded({"many": many, "few": [1, 2], "deep": {"x": many}}) == {
        "many": None,
        "few": [1, 2],
        "deep": None,
    }


def test_all_outputs_together_stay_within_their_share() -> None:
    """Each of these fits alone; a character of the texts takes six bytes in the journal."""
    texts = {f"t{n}": "\0" * OUTPUT_LIMIT for n in range(20)}
    values = {f"v{n}": ["x" * 1000] * 60 for n in range(20)}
    for outputs in (texts, values, {**values, **texts}):
        kept = bounded(outputs)
        assert list(kept) == list(outputs)
        assert OUTPUTS_LIMIT_BYTES // 2 < size_of(kept) <= OUTPUTS_LIMIT_BYTES + 20 * len(outputs)


def test_what_a_probe_compares_with_is_whole_or_refused() -> None:
    assert kept_before({"pid": 7}) == {"pid": 7}
    with pytest.raises(PermanentError, match=f"and {VALUE_LIMIT_BYTES} can be kept"):
        kept_before({"all": "x" * VALUE_LIMIT_BYTES})
