"""A plan as lines: what stands below a command, and what is left out where there is none."""

import pytest

from engine.cli.plan_lines import described, print_lines
from engine.core.plan import PlannedStep
from tests.doubles.runs import a_plan, a_playbook, a_step, planned

CHANGE = planned(a_step("take_out"))


@pytest.mark.parametrize(
    ("update", "text"),
    [
        pytest.param({}, "host$ take_out", id="a command"),
        pytest.param({"effect": "destroy"}, "host$ take_out [destroys]", id="destroys"),
        pytest.param({"required": False}, "host$ take_out [may fail]", id="may fail"),
        pytest.param(
            {"affects": ("gpu-07", "gpu-08"), "condition": "steps.a.ok"},
            "host$ take_out\naffects gpu-07, gpu-08\nif steps.a.ok",
            id="affects others",
        ),
        pytest.param({"affects": ()}, "host$ take_out\naffects no target", id="affects none"),
    ],
)
def test_a_step_is_told_with_what_matters(update: dict[str, object], text: str) -> None:
    step: PlannedStep = CHANGE.model_copy(update=update)
    plan = a_plan(a_playbook()).model_copy(update={"steps": (step,)})
    lines = list(described(plan))
    assert ("take_out", text) in lines
    assert ("none", "of take_out: what it changed stays") in lines
    assert "verify" not in dict(lines)


def test_where_steps_are_missing_nothing_is_said_of_the_way_back() -> None:
    plan = a_plan(a_playbook()).model_copy(update={"steps": (CHANGE,)})
    told = dict(described(plan, ["step warm: no answer"]))
    assert "roll back" not in told
    assert told["?"] == "step warm: no answer"


def test_an_empty_parameter_is_no_heading() -> None:
    plan = a_plan(a_playbook()).model_copy(update={"parameters": {"config": "", "zone": "a"}})
    assert list(described(plan))[:3] == [("parameters", ""), ("config", '""'), ("zone  ", "a")]


def test_a_heading_stands_alone_and_rows_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([("change", ""), ("take_out", "host$ rm")], "    ")
    assert capsys.readouterr().out == "    change\n      take_out  host$ rm\n"
