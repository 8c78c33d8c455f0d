"""What quell understands of a payload, as the stream carries it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from engine.cli.main import execute
from engine.core.alert import Alert
from engine.core.records import decode_record, encode_alert
from tests.contracts.test_source import BY_KIND

ALERT = TypeAdapter(Alert)
WEBHOOK: dict[str, Any] = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "LLMEndpointDown", "service": "llm-70b"},
            "annotations": {"summary": "ü"},
            "startsAt": "2026-03-01T12:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "DiskFull"},
            "startsAt": "2026-03-01T12:00:00Z",
            "endsAt": "2026-03-01T12:05:00Z",
        },
    ],
}
API = [{"labels": {"alertname": "LLMEndpointDown", "service": "llm-70b"}}]


def give(monkeypatch: pytest.MonkeyPatch, payload: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(payload.encode())))


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        pytest.param(json.dumps(WEBHOOK), ["LLMEndpointDown", "DiskFull"], id="webhook"),
        pytest.param(json.dumps(WEBHOOK, indent=2), ["LLMEndpointDown", "DiskFull"], id="pretty"),
        pytest.param(json.dumps(API), ["LLMEndpointDown"], id="api"),
        pytest.param(json.dumps(API, indent=0), ["LLMEndpointDown"], id="api-over-lines"),
        pytest.param(
            f"{json.dumps(WEBHOOK)}\n\n{json.dumps(API)}\n",
            ["LLMEndpointDown", "DiskFull", "LLMEndpointDown"],
            id="one-a-line",
        ),
        pytest.param("[]", [], id="nothing-fires"),
    ],
)
def test_alerts_come_out_one_a_line_and_can_be_read_back(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    payload: str,
    names: list[str],
) -> None:
    give(monkeypatch, payload)
    assert execute(["normalize"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    alerts = [ALERT.validate_json(line) for line in out.splitlines()]
    assert [alert.name for alert in alerts] == names
    assert [decode_record(encode_alert(alert)) for alert in alerts] == alerts


def test_what_cannot_be_understood_is_told_beside_the_rest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"alerts": [{**WEBHOOK["alerts"][0]}, {"labels": 5}]}
    give(monkeypatch, "\n".join([json.dumps(API), json.dumps(bad), "nope{"]))
    assert execute(["normalize", "--source", "alertmanager"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["LLMEndpointDown"] * 2
    problems = err.splitlines()
    assert problems[0].startswith("payload 2: alerts[1].labels: ")
    assert problems[1].startswith("payload 3: not JSON")
    assert len(problems) == 2


def test_json_is_one_document_with_both(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, json.dumps({"alerts": 5}))
    assert execute(["normalize", "--json"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "alerts": [],
        "problems": ["alerts: expected a list of alerts, got the number 5"],
    }


def test_an_unknown_source_is_a_mistake_of_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, "{}")
    assert execute(["normalize", "--source", "nagios"]) == 2
    assert "unknown source 'nagios'" in capsys.readouterr().err


def test_a_kind_that_is_not_configured_is_understood_by_its_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = {"status": "firing", "name": "EndpointDown", "labels": {"app": "checkout"}}
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "quell.notice.v1"}
    give(monkeypatch, json.dumps({**event, "data": notice}))
    assert execute(["normalize", "--source", "cloudevents"]) == 0
    alert = json.loads(capsys.readouterr().out)
    assert (alert["source"], alert["name"]) == ("cloudevents", "EndpointDown")
    assert alert["service"] == "checkout"


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_kind_of_source_is_understood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    give(monkeypatch, json.dumps(BY_KIND[kind].body))
    assert execute(["normalize", "--source", kind]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    alerts = [ALERT.validate_json(line) for line in out.splitlines()]
    assert [alert.source for alert in alerts] == [kind] * BY_KIND[kind].count


CLOUDWATCH = "sources: {aws: {uses: cloudwatch, topics: ['arn:aws:sns:eu-west-1:123456789012:a']}}"


def test_a_configured_source_is_named_by_its_kind_or_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "quell.yaml"
    config.write_text(CLOUDWATCH)
    alarm = {
        "NewStateValue": "ALARM",
        "StateChangeTime": "2026-03-01T11:55:00.640+0000",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:Slow",
    }
    for name in ("cloudwatch", "aws"):
        give(monkeypatch, json.dumps(alarm))
        assert execute(["normalize", "--source", name, "--config", str(config)]) == 0
        out, _ = capsys.readouterr()
        alert = ALERT.validate_json(out)
        assert (alert.name, alert.source, alert.region) == ("Slow", "aws", "eu-west-1")
