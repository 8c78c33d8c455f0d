"""`quell docs build` writes the runbooks, and removes what is gone."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.cli.docs import _runs_of
from engine.cli.main import execute
from engine.ports.api import TimelineEntry
from tests.cli.project import Project

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def build(project: Project, *words: str) -> int:
    return execute(["docs", "build", "--output", "out", "--config", str(project.config), *words])


def test_every_playbook_has_its_page_and_those_that_are_gone_have_none(project: Project) -> None:
    assert build(project) == 0
    out = Path("out")
    assert "# restart-llm" in (out / "restart-llm.md").read_text()
    assert "(restart-vllm.md)" in (out / "README.md").read_text()
    assert "Last runs" not in (out / "restart-llm.md").read_text()
    (out / "own.md").write_text("a page of somebody's own")
    (project.folder / "playbooks" / "restart-llm.yaml").unlink()
    (project.folder / "rules" / "llm.yaml").unlink()
    assert build(project) == 0
    assert not (out / "restart-llm.md").exists()
    assert (out / "own.md").exists()


def test_a_page_that_somebody_wrote_is_never_replaced(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    Path("out").mkdir()
    own = Path("out", "README.md")
    own.write_text("mine")
    assert build(project) == 2
    assert "out/README.md is no page of quell's; choose another folder" in capsys.readouterr().err
    assert own.read_text() == "mine"


def test_the_runs_of_a_data_folder_are_told(stopped: Project) -> None:
    assert build(stopped, "--data", str(stopped.data)) == 0
    # The one there waits for an approval.
    assert "None is known." in Path("out", "restart-llm.md").read_text()


def test_ends_are_read_from_the_journal() -> None:
    created = {"run_id": "r", "trigger": "t", "attempt": 1, "playbook_id": "mend"}
    created |= {"playbook_hash": "h", "parameters": {}, "mode": "approve"}
    created |= {"mode_decided_by": "rule", "reason": "x"}
    ended = {"run_id": "r", "outcome": "failed", "reason": "x", "changed": True}
    bodies = [("run.created@1", created), ("run.ended@1", ended), ("run.ended@1", None)]
    timeline = [
        TimelineEntry(seq=seq, at=NOW, kind=kind, actor="quell", body=body)
        for seq, (kind, body) in enumerate(bodies)
    ]
    (found,) = _runs_of("INC-7", timeline)
    assert (found.playbook, found.incident, found.outcome) == ("mend", "INC-7", "failed")
