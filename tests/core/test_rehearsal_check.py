"""What a rehearsal came to, held against what is expected."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from engine.core import events
from engine.core.rehearsal_check import SeenIncident, SeenRun, differences, seen_incident
from engine.core.rehearsal_documents import ExpectedIncident
from engine.core.severity import Severity
from tests.doubles.runs import an_incident

RUN = SeenRun("restart", "failed", "it never held", ("look", "mend"), ("undo",), paged=True)
TOLD = ("P1 INC-1: it is down", "restart is on its way", "failed: it never held")
SEEN = SeenIncident("down", Severity.P1, "approve", "open", {"service": "llm"}, (RUN,), TOLD)


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
        (
            {"runs": [{"paged": False}]},
            "incidents.0.runs.0.paged",
            "expected paged: false, it is true: it never held",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_difference_is_told_in_its_place(
    expected: dict[str, Any], path: str, problem: str
) -> None:
    assert told(expected) == [(path, problem)]


def test_each_message_that_is_expected_is_part_of_one_that_was_told() -> None:
    assert told({"messages": ["it is down", "never held"]}) == []
    assert told({"messages": ["it is down", "it helped"]}) == [
        (
            "incidents.0.messages.1",
            "no message says 'it helped'; the latest say: 'P1 INC-1: it is down', "
            "'restart is on its way', 'failed: it never held'",
        )
    ]


def test_nobody_told_is_expected_by_no_message() -> None:
    (found,) = told({"messages": []})
    assert found[0] == "incidents.0.messages"
    assert found[1].startswith("expected no message, the latest say: ")
    quiet = replace(SEEN, messages=())
    wanted = ExpectedIncident.model_validate({"messages": []})
    assert differences([wanted], [quiet]) == []
    some = ExpectedIncident.model_validate({"messages": ["x"]})
    (none,) = differences([some], [quiet])
    assert none.problem == "no message says 'x'; there is none"


def test_incidents_that_are_missing_or_too_many_are_told_by_name() -> None:
    assert told() == [("incidents", "expected 0 incidents, there are 1: down P1")]
    assert told({}, {}) == [("incidents", "expected 2 incidents, there are 1: down P1")]


def test_one_that_is_missing_is_told_as_one() -> None:
    wanted = [ExpectedIncident.model_validate({"runs": [{}]})]
    (none,) = differences(wanted, [])
    (no_run,) = differences(wanted, [replace(SEEN, runs=())])
    assert none.problem == "expected 1 incident, there are 0: none"
    assert no_run.problem == "expected 1 run, there are 0: none"


def test_a_run_that_goes_on_is_no_end() -> None:
    going = replace(SEEN, runs=(replace(RUN, outcome="", reason=""),))
    wanted = ExpectedIncident.model_validate({"runs": [{"outcome": "failed"}]})
    (found,) = differences([wanted], [going])
    assert found.problem == "expected failed, it is going on"


@pytest.mark.parametrize(
    ("outcome", "by_guard", "before", "paged"),
    [
        pytest.param("succeeded", "", (), False, id="it helped"),
        pytest.param("failed", "", (), True, id="it failed"),
        pytest.param("expired", "", (), True, id="nobody answered"),
        pytest.param("skipped", "cooldown", (), True, id="a guard stopped it"),
        pytest.param(
            "skipped", "still_firing", (events.IncidentResolved(),), False, id="nothing fires"
        ),
        pytest.param(
            "skipped",
            "cooldown",
            (events.IncidentResolved(), events.IncidentReopened()),
            True,
            id="it fires again",
        ),
    ],
)
def test_whether_an_end_needs_a_person_is_what_the_incident_says(
    outcome: events.RunOutcome, by_guard: str, before: Sequence[events.Event], *, paged: bool
) -> None:
    ended = events.RunEnded(run_id="run", outcome=outcome, reason="", by_guard=by_guard)
    created = events.RunCreated(
        run_id="run",
        trigger="t",
        attempt=1,
        playbook_id="restart",
        playbook_hash="",
        parameters={},
        mode="approve",
        mode_decided_by="",
        reason="",
    )
    (run,) = seen_incident(an_incident(), [created, *before, ended]).runs
    assert run.paged is paged
