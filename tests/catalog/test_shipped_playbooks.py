"""Each shipped playbook does something of its own, and its tests and docs/remedies.md show what."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.actions import Effect
from engine.core.playbook import Playbook, Step
from engine.core.rehearsal_documents import ExpectedIncident, ExpectedRun, RehearsalsDocument
from engine.core.templates import Template
from tests.doubles.declarations import ACTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "remedies.md").read_text().split("## What hosts")[0]
FOLDER = shipped_folder() / "playbooks"
CATALOG = load_catalog(CatalogSources(shipped=shipped_folder()), ACTIONS)
PLAYBOOKS = CATALOG.playbooks
SYSTEMS = {"GPU VM", "Kubernetes", "Azure OpenAI", "Azure ML", "SageMaker", "Bedrock", "Vertex AI"}
REMEDIES = ["restart", "redeploy or roll back", "scale", "fail over"]


def rows(beginning: str) -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith(beginning)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


# What people read where a guard kept a run from beginning.
REFUSALS = ("cools down for ", "may run ", "would be unavailable, and ")


def expected_incidents(playbook: str) -> Iterator[ExpectedIncident]:
    """Every incident that the tests of a playbook expect."""
    text = (FOLDER / f"{playbook}.test.yaml").read_text()
    document = RehearsalsDocument.model_validate(yaml.safe_load(text))
    for test in document.tests:
        for expectation in test.expect:
            yield from expectation.incidents


def expected_runs(playbook: str) -> Iterator[ExpectedRun]:
    for incident in expected_incidents(playbook):
        yield from incident.runs or ()


def calls(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """What steps call, without the values that they give."""
    return tuple(f"{step.uses} {command_of(step)}" for step in steps)


def command_of(step: Step) -> str:
    written = step.inputs.get("command", "")
    return written.text if isinstance(written, Template) else str(written)


def has_undoing(playbook: Playbook) -> bool:
    return any(step.rollback for step in playbook.steps)


def test_there_are_twenty_at_least_and_the_page_counts_them() -> None:
    assert len(PLAYBOOKS) >= 20
    assert f"\n{len(PLAYBOOKS)} playbooks in " in PAGE


def test_no_two_differ_by_values_only() -> None:
    shapes: dict[object, list[str]] = {}
    for playbook in PLAYBOOKS.values():
        parts = (playbook.steps, playbook.verify)
        shapes.setdefault(tuple(map(calls, parts)), []).append(playbook.id)
    assert [same for same in shapes.values() if len(same) > 1] == []


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_has_parameters_guards_and_a_proof(playbook: str) -> None:
    found = PLAYBOOKS[playbook]
    assert found.parameters
    assert found.declares
    assert found.verify
    assert Effect.CHANGE in found.effects


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_its_tests_show_a_guard_refusing_and_what_people_are_told(playbook: str) -> None:
    told = [
        message
        for incident in expected_incidents(playbook)
        if any(run.outcome == "skipped" for run in incident.runs or ())
        for message in incident.messages or ()
    ]
    assert any(words in message for message in told for words in REFUSALS)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_its_tests_show_it_succeeding_and_failing(playbook: str) -> None:
    runs = list(expected_runs(playbook))
    assert any(run.outcome == "succeeded" for run in runs)
    failing = [run for run in runs if run.outcome in ("failed", "partial", "unknown")]
    assert any(run.paged for run in failing)
    undone = {step for run in failing for step in run.rolled_back or ()}
    assert bool(undone) == has_undoing(PLAYBOOKS[playbook])


def test_each_command_is_used_and_each_change_says_what_may_follow() -> None:
    used = {command_of(step) for playbook in PLAYBOOKS.values() for step in playbook.all_steps}
    commands = CATALOG.estate.commands
    assert set(commands) - used == set()
    for name, command in commands.items():
        assert command.description, name
        assert (command.repeat == "probe") == (command.probe is not None), name


def test_a_row_tells_the_failure_that_its_playbook_names() -> None:
    told = {row[0].strip("`"): row[1] for row in rows("| `") if row[0].strip("`") in PLAYBOOKS}
    assert told == {each.id: each.description for each in PLAYBOOKS.values()}


def test_a_row_says_honestly_whether_there_is_a_way_back() -> None:
    for row in rows("| `"):
        playbook = PLAYBOOKS.get(row[0].strip("`"))
        if playbook is not None:
            assert row[3].startswith("-") != has_undoing(playbook), playbook.id


def test_each_cell_of_the_matrix_is_a_playbook_or_impossible() -> None:
    matrix = [row for row in rows("| ") if row[0] in SYSTEMS]
    assert {row[0] for row in matrix} == SYSTEMS
    assert f"| | {' | '.join(REMEDIES)} |" in PAGE
    for system, *cells in matrix:
        assert len(cells) == len(REMEDIES), system
        for cell in cells:
            named = re.findall(r"`([^`]+)`", cell)
            assert bool(named) != cell.startswith("impossible, because "), (system, cell)
            assert set(named) <= set(PLAYBOOKS), (system, cell)
