"""Saying what somebody changed, to an engine; without one it is refused."""

import json

import pytest

from engine.cli.main import execute
from tests.cli.project import Project

APPLY = ("--what", "terraform apply of gpu-pool")


def changed(project: Project, *words: str) -> int:
    return execute(["changed", *words, "--data", str(project.data)])


def test_it_is_kept_and_journaled_by_id(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert changed(running, "gpu-7", "--service", "llm-70b", *APPLY, "--reason", "more") == 0
    assert capsys.readouterr().out == "kept: terraform apply of gpu-pool changed gpu-07, llm-70b\n"
    assert changed(running, "--service", "llm-70b", *APPLY, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "what": "terraform apply of gpu-pool",
        "targets": [],
        "services": ["llm-70b"],
    }
    lines: list[bytes] = []
    with running.client() as client:
        client.export_audit(lines.append)
    told = [line for line in lines if b"change.told@1" in line]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(("gpu-70", *APPLY), "did you mean 'gpu-7'?", id="no such target"),
        pytest.param(("--service", "llm-7b", *APPLY), "did you mean 'llm-70b'?", id="no service"),
        pytest.param(APPLY, "name what was changed: targets, services", id="nothing changed"),
        pytest.param(("gpu-07", "--what", ""), "what: String should have", id="in no words"),
        pytest.param(("gpu-07",), "--what", id="not even that"),
    ],
)
def test_what_says_too_little_or_names_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], running: Project, words: tuple[str, ...], problem: str
) -> None:
    assert changed(running, *words) == 2
    assert problem in " ".join(capsys.readouterr().err.split())


def test_without_an_engine_nobody_knows_the_inventory(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert changed(stopped, "gpu-07", *APPLY) == 3
    assert "no engine runs on" in capsys.readouterr().err
