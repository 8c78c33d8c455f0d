"""Silences from a terminal, on the folder of an engine that doesn't run, and with a real one."""

import json

import pytest

from engine.cli.main import execute
from tests.cli.project import Project
from tests.services.alertmanager import StartAlertmanager


def ordered(project: Project, *words: str) -> int:
    return execute(["silence", *words, "--data", str(project.data)])


def test_a_silence_is_set_listed_and_ended(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    matchers = ["alertname=Down", "service=~llm-.+"]
    assert ordered(stopped, "add", *matchers, "--for", "2h", "--comment", "a drill", "--json") == 0
    set_ = json.loads(capsys.readouterr().out)
    assert set_["matchers"] == matchers
    assert ordered(stopped, "list") == 0
    told = capsys.readouterr().out
    assert set_["id"][:8] in told
    assert "a drill" in told
    assert ordered(stopped, "end", set_["id"][:8]) == 0
    assert capsys.readouterr().out == f"silence {set_['id'][:8]} ended\n"
    assert ordered(stopped, "list") == 0
    assert capsys.readouterr().out == "nothing is silenced\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["add", "a~b", "--for", "1h", "--comment", "x"], 2, "matcher 'a~b'"),
        (["add", "a=b", "--for", "1 hour", "--comment", "x"], 2, "isn't a duration"),
        (["add", "a=~.*", "--for", "1h", "--comment", "x"], 2, "every alert"),
        (["end", "zzz"], 2, "there is no silence 'zzz'"),
    ],
)
def test_what_can_not_be_is_told(
    capsys: pytest.CaptureFixture[str], stopped: Project, words: list[str], code: int, message: str
) -> None:
    assert ordered(stopped, *words) == code
    assert message in capsys.readouterr().err


def test_importing_follows_an_alertmanager(
    capsys: pytest.CaptureFixture[str], stopped: Project, start_alertmanager: StartAlertmanager
) -> None:
    import subprocess

    from tests.services.process import program

    there = start_alertmanager("http://127.0.0.1:9/")
    amtool = [program("amtool"), f"--alertmanager.url={there.url}", "silence"]
    words = ["add", "--author=me", "--comment=a drill", "--duration=2h", "service=llm"]
    done = subprocess.run([*amtool, *words], check=True, capture_output=True, text=True, timeout=30)
    for _ in range(2):
        assert ordered(stopped, "import", there.url) == 0
        assert capsys.readouterr().out == "1 imported, 0 ended\n"
    subprocess.run([*amtool, "expire", done.stdout.strip()], check=True, timeout=30)
    assert ordered(stopped, "import", there.url) == 0
    assert capsys.readouterr().out == "0 imported, 1 ended\n"
    assert ordered(stopped, "list") == 0
    assert capsys.readouterr().out == "nothing is silenced\n"
