"""A drafted action passes its own test, and is used once it is installed beside quell."""

import sys
from pathlib import Path

import pytest

from engine.catalog.action_drafts import action_package
from tests.cli.project import PROGRAM, Project
from tests.services.process import run

PLAYBOOK = """\
language: 1
id: look
description: See whether it accepts connections, and do nothing
parameters: {target: {type: target}}
steps:
  - {id: before, uses: lab.port_open, with: {target: '${{ params.target }}'}}
verify:
  - id: open
    uses: lab.port_open
    with: {target: '${{ params.target }}'}
    until: result.ok
    within: 1m
"""


def installed(folder: Path, module: str = "lab_port_open", value: str = "LabPortOpen") -> None:
    """As an installer leaves it: the module, and what it says of itself beside it."""
    for name, text in action_package("lab.port_open").items():
        (folder / name).write_text(text)
    about = folder / "quell_lab_port_open-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: quell-lab\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text(
        f"[quell.connectors]\nlab.port_open = {module}:{value}\n"
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write()
    (made.folder / "playbooks" / "look.yaml").write_text(PLAYBOOK)
    inventory = made.folder / "inventory.yaml"
    text = inventory.read_text().replace(
        "targets:\n", "targets:\n  db: {kind: db, address: db.lab, port: 5432}\n"
    )
    inventory.write_text(text)
    return made


def test_its_own_test_passes(package: Path) -> None:
    installed(package)
    done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", package])
    assert "11 passed" in done


def test_playbooks_use_it_once_it_is_installed(package: Path, project: Project) -> None:
    check: list[str | Path] = [PROGRAM, "check", "--config", project.config]
    assert "unknown action 'lab.port_open'" in run(check, statuses=(1,))
    installed(package)
    assert "no mistakes" in run(check)
    plan = run([PROGRAM, "plan", "look", "-p", "target=db", "--config", project.config])
    assert "connect to db.lab:5432" in plan
