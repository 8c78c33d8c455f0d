"""One engine that ran, and one that runs: started once for all tests of the verbs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.project import Project


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No quell.yaml, data or server of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QUELL_SERVER", raising=False)
    monkeypatch.delenv("QUELL_TOKEN", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files alone: no engine ever ran."""
    made = Project(tmp_path / "project")
    made.write()
    return made


@pytest.fixture(scope="session")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("ran"))
    made.write()
    playbook = made.folder / "playbooks/restart-llm.yaml"
    # Asked once for all tests of a run, however long that takes.
    playbook.write_text(playbook.read_text().replace("expires: 10m", "expires: 1d"))
    engine = made.engine()
    engine.start(made.is_up)
    try:
        made.open_two_incidents()
    finally:
        engine.stop()
    return made


@pytest.fixture
def stopped(_ran: Project, tmp_path: Path) -> Project:
    """An engine ran here and was stopped: INC-1 waits for an approval, INC-2 is idle."""
    copy = Project(tmp_path / "stopped")
    shutil.copytree(_ran.folder, copy.folder)
    return copy


@pytest.fixture(scope="session")
def running(_ran: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An engine runs here with the same two incidents; tests leave them as they are."""
    copy = Project(tmp_path_factory.mktemp("running") / "project")
    shutil.copytree(_ran.folder, copy.folder)
    engine = copy.engine()
    engine.start(copy.is_up)
    yield copy
    engine.stop()
