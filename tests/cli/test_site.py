"""A server by name, else the engine of the folder, else the folder itself."""

from pathlib import Path

import pytest

from engine.cli.local_site import LocalSite
from engine.cli.server_file import SERVER_FILE, running_engine
from engine.cli.site import reach
from engine.client.http import QuellClient
from engine.errors import ConfigError, TransientError
from tests.cli.project import Project


def test_the_engine_that_runs_on_the_folder_is_asked(running: Project) -> None:
    with reach(running.data) as site:
        assert isinstance(site, QuellClient)
        assert [each.name for each in site.incidents().incidents] == ["INC-2", "INC-1"]


def test_without_an_engine_the_folder_is_read(stopped: Project) -> None:
    with reach(stopped.data) as site:
        assert isinstance(site, LocalSite)


def test_the_address_of_a_killed_engine_may_be_anothers_and_is_not_asked(
    running: Project, stopped: Project
) -> None:
    left_behind = (running.data / SERVER_FILE).read_text()
    (stopped.data / SERVER_FILE).write_text(left_behind)
    with reach(stopped.data) as site:
        assert isinstance(site, LocalSite)


def test_a_named_server_wins(
    running: Project, stopped: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = running_engine(running.data)
    assert engine is not None
    monkeypatch.setenv("QUELL_SERVER", engine.url)
    monkeypatch.setenv("QUELL_TOKEN", engine.token.get_secret_value())
    with reach(stopped.data) as site:
        assert isinstance(site, QuellClient)
        assert site.verify_audit().faults == ()


def test_a_named_server_that_is_away_is_not_replaced_by_the_folder(
    stopped: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUELL_SERVER", "http://127.0.0.1:9")
    with reach(stopped.data) as site, pytest.raises(TransientError, match="no answer from"):
        site.balance()


@pytest.mark.parametrize("address", ["localhost:8484", "ftp://host", "nonsense"])
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("QUELL_SERVER", address)
    with pytest.raises(ConfigError, match="write it like http"), reach(Path("x")):
        pass


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--data.*QUELL_SERVER.*quell up"), reach(tmp_path / "x"):
        pass
