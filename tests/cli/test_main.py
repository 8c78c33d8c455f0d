"""Exit codes, and errors that people can read."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.main import get_group

from engine.cli.main import VERBS, command_line, execute, exit_code
from engine.core.catalog import Catalog
from engine.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    FencedError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadError,
    PermanentError,
    QuellError,
    TransientError,
)
from engine.settings import LoadedSettings
from tests.cli.project import PROGRAM, Project
from tests.services.process import run as run_program


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (NotFoundError("x"), 2),
        (PayloadError("x"), 2),
        (PermanentError("x"), 2),
        (TransientError("x"), 3),
        (OutcomeUnknownError("x"), 3),
        (DeniedError("x"), 1),
        (ConflictError("x"), 1),
        (FencedError("x"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, QuellError) else "",
)
def test_each_error_has_its_exit_code(error: QuellError, code: int) -> None:
    assert exit_code(error) == code


def test_without_a_verb_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([]) == 2
    assert "Exit codes: 0 fine" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_verb_in_a_line_that_fits(
    capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert execute([flag]) == 0
    shown = capsys.readouterr().out
    verbs = "up serve demo check plan run approve reject normalize balance incidents audit"
    verbs += " dead-letters"
    for verb in verbs.split():
        assert f"\n  {verb} " in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_in_the_module_that_its_name_says(verb: str) -> None:
    alone = get_group(command_line(verb))
    assert verb in alone.list_commands(typer.Context(alone))


def test_every_verb_of_every_module_has_a_name() -> None:
    whole = get_group(command_line())
    assert set(whole.list_commands(typer.Context(whole))) == set(VERBS)


# Runs a verb and tells, last, what it loaded.
LOADING = """
import sys
from engine.cli.main import execute
code = execute(sys.argv[1:])
print(*sys.modules)
sys.exit(code)
"""


def test_verbs_that_ask_a_server_load_no_engine(running: Project) -> None:
    for verb in ("incidents list", "locks list", "waiting", "dead-letters list"):
        words = [*verb.split(), "--data", str(running.data)]
        said = run_program([sys.executable, "-c", LOADING, *words])
        loaded = said.splitlines()[-1].split()
        assert "engine.client.http" in loaded
        unneeded = {"engine.app", "engine.settings", "engine.catalog", "sqlalchemy", "fastapi"}
        assert unneeded.isdisjoint(loaded), verb


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == f"quell {version('quell')}\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["bogus"], "No such command 'bogus'", id="verb"),
        pytest.param(["balance", "--bogus"], "No such option: --bogus", id="option"),
        pytest.param(["incidents", "--json", "list"], "options behind `list`", id="place"),
        pytest.param(["incidents", "list", "--status", "shut"], "'shut' is not one of", id="word"),
        pytest.param(["up", "--listen", "8484"], "'8484' isn't HOST:PORT", id="address"),
        pytest.param(["serve", "--only", "console"], "'console' is not one of", id="role"),
        pytest.param(["plan", "x", "-p", "y"], "'y' isn't NAME=VALUE", id="parameter"),
        pytest.param(["approve"], "Missing argument 'ID'", id="missing"),
        pytest.param(["balance", "--data", "nowhere"], "no folder 'nowhere'", id="folder"),
        pytest.param(["check", "--config", "none.yaml"], "no file 'none.yaml'", id="file"),
    ],
)
def test_wrong_use_is_told_on_standard_error(
    capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    assert execute(words) == 2
    out, err = capsys.readouterr()
    assert problem in err
    assert out == ""
    assert "Traceback" not in err


def test_a_fault_of_quells_own_tells_its_place_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_loaded: LoadedSettings, _paths: list[Path]) -> Catalog:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr("engine.app.check_project", break_down)
    assert execute(["check"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("quell stopped on a fault of its own: RuntimeError at ")
    assert "test_main.py:" in err
    assert "hunter2" not in err
    assert len(err.splitlines()) == 1


def test_what_several_parts_say_together_is_told_in_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_loaded: LoadedSettings, _paths: list[Path]) -> Catalog:
        first, second = ConfigError("the topic has 3 partitions"), TransientError("no broker")
        raise ExceptionGroup("parts", [first, ExceptionGroup("inner", [second])])

    monkeypatch.setattr("engine.app.check_project", break_down)
    assert execute(["check"]) == 3
    assert capsys.readouterr().err == "the topic has 3 partitions\nno broker\n"


def test_the_console_script_runs(tmp_path: Path) -> None:
    said = run_program([PROGRAM, "balance", "--data", tmp_path / "none"], statuses=[2])
    assert said.startswith("no engine to talk to: there is no folder ")
