"""Alerts that open nothing yet are shown with what they wait for, by an engine and its folder."""

import json

import pytest

from engine.cli.main import execute
from engine.cli.waiting import WHY
from engine.core.conditions import HoldKind
from tests.cli.project import Project
from tests.services.process import wait_until


def told(capsys: pytest.CaptureFixture[str], project: Project, *words: str) -> str:
    assert execute(["waiting", *words, "--data", str(project.data)]) == 0
    return capsys.readouterr().out


def test_a_silenced_alert_is_shown_until_it_is_decided(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert told(capsys, stopped) == "no alert waits\n"
    data = ["--data", str(stopped.data)]
    add = ["silence", "add", "alertname=Later", "--for", "1h", "--comment", "a drill"]
    assert execute([*add, *data]) == 0
    capsys.readouterr()
    process = stopped.engine()
    process.start(stopped.is_up)
    try:
        stopped.fire(alertname="Later", service="s")
        with stopped.client() as client:
            wait_until(lambda: bool(client.waiting().waiting), "the alert waits", 20)
        shown = json.loads(told(capsys, stopped, "--json"))["waiting"]
        assert [(each["name"], each["rule"], each["kind"]) for each in shown] == [
            ("Later", "unmatched", "silenced")
        ]
        assert "silenced" in told(capsys, stopped)
    finally:
        process.stop()


def test_every_kind_has_words() -> None:
    assert set(WHY) == set(HoldKind.__args__)  # type: ignore[attr-defined]
