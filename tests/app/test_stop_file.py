"""The file STOP in the data folder, as an engine and a folder without one see it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.app import open_deciding, open_engine, remove_stop_file
from engine.errors import ConfigError, ConflictError
from engine.ports.commands import By
from engine.settings import LoadedSettings, load_settings

ADMIN = By("local:me", "cli", frozenset({"admin"}))


class StoppedTestError(Exception):
    """Ends an engine from within."""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSettings:
    file = tmp_path / "quell.yaml"
    file.write_text("listen: 127.0.0.1:0\ndata: data\n")
    (tmp_path / "data").mkdir()
    return load_settings(file, {})


def stops(data: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(data / "quell.db")) as store:
        return store.execute("SELECT scope, actor, reason FROM stops").fetchall()


def written(text: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(text)

    return write


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(written(b"region lost\nsince noon\n"), "region lost", id="its first line"),
        pytest.param(written(b""), "the file STOP is in the data folder", id="empty"),
        pytest.param(written(b"\xff no text"), "\ufffd no text", id="no text"),
        pytest.param(written(b"x" * 9999), "x" * 500, id="a long line"),
        pytest.param(Path.mkdir, "the file STOP is in the data folder", id="a folder"),
    ],
)
async def test_an_engine_that_starts_beside_it_has_stopped_before_it_works(
    loaded: LoadedSettings, make: Callable[[Path], None], reason: str
) -> None:
    data = loaded.settings.data
    make(data / "STOP")

    def started(_: str) -> None:
        # No task was claimed yet: the loops begin after this.
        assert stops(data) == [("all", "file", reason)]
        raise StoppedTestError

    async with open_engine(loaded) as engine:
        with pytest.raises(ExceptionGroup) as raised:
            await engine.run(frozenset({"worker"}), started)
    assert [type(each) for each in raised.value.exceptions] == [StoppedTestError]


async def test_a_folder_without_an_engine_stays_stopped_while_it_is_there(
    loaded: LoadedSettings,
) -> None:
    data = loaded.settings.data
    async with open_engine(loaded):
        pass
    async with open_deciding(data) as commands:
        await commands.stop("all", by=ADMIN, reason="drill")
        (data / "STOP").touch()
        with pytest.raises(ConflictError, match="STOP': remove it first"):
            await commands.resume("all", by=ADMIN)
        assert remove_stop_file(data) is True
        assert await commands.resume("all", by=ADMIN) == []
    assert remove_stop_file(data) is False


def test_what_cannot_be_removed_is_told(loaded: LoadedSettings) -> None:
    (loaded.settings.data / "STOP").mkdir()
    with pytest.raises(ConfigError, match="can't be removed"):
        remove_stop_file(loaded.settings.data)
