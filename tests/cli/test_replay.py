"""`quell replay` on the terminal and for programs."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from engine.cli.main import execute
from engine.core.records import alert_json
from tests.app.test_backtest import at, cleared
from tests.cli.project import RULES, Project
from tests.doubles.declarations import firing

TELLING = RULES.replace("rules:", "defaults: {notify: [team]}\nrules:")
DOWN = firing("LLMEndpointDown", service="llm-70b", instance="gpu-7")
HISTORY = (at(DOWN, 0), at(DOWN, 60), at(firing("FanNoisy", service="x"), 90), cleared(DOWN, 120))


def written(project: Project) -> Path:
    (project.folder / "rules" / "llm.yaml").write_text(TELLING)
    path = project.folder / "alerts.jsonl"
    path.write_text("".join(alert_json(each) + "\n" for each in HISTORY))
    return path


def run(project: Project, *words: str) -> int:
    return execute(["replay", *words, "--config", str(project.config)])


def test_incidents_runs_and_what_no_rule_took(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(project, str(written(project))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 alerts from 2026-03-01 12:00:00 to 2026-03-01 12:02:00 UTC"
    assert lines[1].startswith("closing: an alert ends when its source says so")
    table = [line.split("  ") for line in lines if "endpoint-down" in line]
    assert [cell.strip() for cell in table[0] if cell.strip()] == [
        *("1", "P1", "endpoint-down", "llm-70b", "2026-03-01 12:00:00", "after 2m", "1"),
        "restart-llm (approve)",
    ]
    assert "2 incidents (1 open at the end), 1 page, 1 run" in lines
    assert "no rule took: FanNoisy (1)" in lines


def test_programs_get_all_of_it_from_standard_input_too(
    capsys: pytest.CaptureFixture[str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written(project).read_bytes() + b"{}\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(project, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["dispositions"] == {"new": 1, "repeat": 1, "unmatched": 1, "resolved": 1}
    first = found["incidents"][0]
    assert (first["rule"], first["pages"], first["status"]) == ("endpoint-down", True, "resolved")
    assert first["run"] == {
        "playbook": "restart-llm",
        "mode": "approve",
        "mode_decided_by": "rule endpoint-down",
        "problem": "",
    }
    assert found["unread_lines"] == 1
    assert found["problems"][0].startswith("line 5: fingerprint: Field required")


def test_two_rule_sets_are_compared(capsys: pytest.CaptureFixture[str], project: Project) -> None:
    other = project.folder / "other"
    other.mkdir()
    milder = TELLING.replace("P1", "P3").replace("mode: approve", "mode: suggest")
    (other / "llm.yaml").write_text(milder)
    assert run(project, str(written(project)), "--against", str(other)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "before: 2 incidents (1 open at the end), 1 page, 1 run" in lines
    assert "after:  2 incidents (1 open at the end), 0 pages, 0 runs" in lines
    (row,) = [line.split() for line in lines if line.startswith("endpoint-down ")]
    assert row == ["endpoint-down", "1", "1", "1", "-1", "-1"]
    (change,) = [line for line in lines if line.startswith("~")]
    assert change == (
        "~ endpoint-down llm-70b at 2026-03-01 12:00:00: severity P1 → P3, "
        "mode approve → suggest, run restart-llm (approve) → restart-llm (suggest), page yes → no"
    )
    run(project, str(written(project)), "--against", str(other), "--json")
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert (rule["rule"], rule["pages"], rule["runs"], rule["lost"]) == (
        "endpoint-down",
        -1,
        -1,
        [],
    )
    assert rule["changed"][0]["differences"]["severity"] == ["P1", "P3"]


def test_the_same_rules_differ_in_nothing(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    rules = str(project.folder / "rules")
    assert run(project, str(written(project)), "--rules", rules, "--against", rules) == 0
    assert "no incident, page or run is different" in capsys.readouterr().out


def test_alone_the_shipped_rules_take_nothing(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    assert run(project, str(written(project)), "--alone", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["rule"] for each in found["incidents"]] == ["endpoint-down"]
    assert found["unmatched"] == {"FanNoisy": 1}


def test_old_payloads_are_replayed_at_the_times_of_their_source(
    capsys: pytest.CaptureFixture[str], project: Project
) -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC)
    path = project.folder / "alerts.jsonl"
    alert = firing("X", service="s")
    old_ones = [at(alert, 0, starts_at=old + timedelta(hours=hours)) for hours in range(3)]
    lines = [
        alert_json(structs.replace(each, fingerprint=str(n))) for n, each in enumerate(old_ones)
    ]
    path.write_text("\n".join(lines))
    assert run(project, str(path)) == 0
    assert "--time source takes the times" in capsys.readouterr().out
    assert run(project, str(path), "--time", "source") == 0
    assert "from 2020-01-01 00:00:00 to 2020-01-01 02:00:00 UTC" in capsys.readouterr().out


def test_what_an_engine_kept_is_replayed_from_its_folder(
    capsys: pytest.CaptureFixture[str], stopped: Project
) -> None:
    assert run(stopped, "--data", str(stopped.data), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["rule"] for each in found["incidents"]] == ["endpoint-down", "unmatched"]
    assert found["missing"] == []
    assert run(stopped, "--data", str(stopped.data), "--to", "2020-01-01") == 0
    assert "there are no alerts" in capsys.readouterr().out


def test_it_is_replayed_beside_the_engine_too(
    capsys: pytest.CaptureFixture[str], running: Project
) -> None:
    assert run(running, "--data", str(running.data), "--from", "2020-01-01T00:00:00Z") == 0
    told = capsys.readouterr()
    assert "2 incidents (2 open at the end)" in told.out
    assert "what fired before and didn't repeat since isn't known" in told.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["nowhere.jsonl"], "there is no file 'nowhere.jsonl'"),
        (["--resolve", "later"], "--resolve 'later': write source, or 'after 10m'"),
        (["--resolve", "after soon"], "'soon' isn't a duration"),
        (["a.jsonl", "--from", "2026-03-01"], "give either ALERTS, or --from, --to and --data"),
        (["--to", "noon"], "--to 'noon' is no time; write it like 2026-03-01T12:00:00Z"),
        (["--data", "nowhere"], "name an engine's folder with --data"),
    ],
    ids=["file", "closing", "duration", "both", "time", "folder"],
)
def test_mistakes_of_usage(
    capsys: pytest.CaptureFixture[str], project: Project, words: list[str], problem: str
) -> None:
    assert run(project, *words) == 2
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert problem in told
