"""What a rehearsal came to, held against what is expected."""

from dataclasses import replace
from typing import Any

import pytest

from engine.core.rehearsal_check import SeenIncident, SeenRun, differences
from engine.core.rehearsal_documents import ExpectedIncident
from engine.core.severity import Severity

RUN = SeenRun("restart", "failed", "it never held", ("look", "mend"), ("undo",))
SEEN = SeenIncident("down", Severity.P1, "approve", "open", {"service": "llm"}, (RUN,))


def told(*expected: dict[str, Any]) -> list[tuple[str, str]]:
    wanted = [ExpectedIncident.model_validate(each) for each in expected]
    return [(".".join(map(str, each.path)), each.problem) for each in differences(wanted, [SEEN])]


def test_what_is_not_written_is_not_compared() -> None:
    assert told({}) == []
    run = {"outcome": "failed", "ran": ["look", "mend"], "rolled_back": ["undo"], "paged": True}
    whole = {"rule": "down", "severity": "P1", "mode": "approve", "status": "open"}
    assert (
        told({**whole, "group": {"service": "llm"}, "runs": [{**run, "playbook": "restart"}]}) == []
    )


@pytest.mark.parametrize(
    ("expected", "path", "problem"),
    [
        ({"rule": "up"}, "incidents.0.rule", "expected up, it is down"),
        ({"severity": "P2"}, "incidents.0.severity", "expected P2, it is P1"),
        ({"mode": "auto"}, "incidents.0.mode", "expected auto, it is approve"),
        ({"status": "closed"}, "incidents.0.status", "expected closed, it is open"),
        ({"group": {"zone": "a"}}, "incidents.0.group.zone", "expected 'a', it is ''"),
        ({"runs": []}, "incidents.0.runs", "expected 0 runs, there are 1: restart failed"),
        (
            {"runs": [{"outcome": "succeeded"}]},
            "incidents.0.runs.0.outcome",
            "expected succeeded, it is failed: it never held",
        ),
        (
            {"runs": [{"ran": ["look"]}]},
            "incidents.0.runs.0.ran",
            "expected [look], it is [look, mend]",
        ),
        (
            {"runs": [{"rolled_back": []}]},
            "incidents.0.runs.0.rolled_back",
            "expected [], it is [undo]",
        ),
        ({"runs": [{"paged": False}]}, "incidents.0.runs.0.paged", "expected false, it is true"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_difference_is_told_in_its_place(
    expected: dict[str, Any], path: str, problem: str
) -> None:
    assert told(expected) == [(path, problem)]


def test_incidents_that_are_missing_or_too_many_are_told_by_name() -> None:
    assert told() == [("incidents", "expected 0 incidents, there are 1: down P1")]
    assert told({}, {}) == [("incidents", "expected 2 incidents, there are 1: down P1")]


def test_a_run_that_goes_on_is_no_end() -> None:
    going = replace(SEEN, runs=(replace(RUN, outcome="", reason=""),))
    wanted = ExpectedIncident.model_validate({"runs": [{"outcome": "failed"}]})
    (found,) = differences([wanted], [going])
    assert found.problem == "expected failed, it is going on"
