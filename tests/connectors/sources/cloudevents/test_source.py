"""The source as a whole: forms of bodies, what is kept of what is wrong, who gets in."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.sources.cloudevents import CloudEventsConfig, CloudEventsSource
from engine.app import normalize_payload
from engine.client.reporting import Endpoint, Reporter, Thresholds
from engine.core.alert import receive
from engine.core.alert_mapping import MappingDocument, compile_mapping
from engine.core.mistakes import Mistakes
from engine.errors import ConfigError, PayloadError
from engine.ports.source import Sender
from engine.settings import load_settings
from tests.connectors.sources.cloudevents.case import CASE, HMAC, MAPPED, MAPPING, event
from tests.contracts.source_case import NOW, admission
from tests.doubles.gateway import MemoryIntake, gateway_parts, served
from tests.services.process import wait_until

FIRING = {"status": "firing", "name": "A", "labels": {"x": "1"}}
WRONG = {"status": "open", "name": "A"}
PLAIN = CloudEventsSource(CloudEventsConfig())
EXPLAINED = MAPPED.make("first")


def test_a_batch_rejects_an_event_alone_and_it_can_be_put_back() -> None:
    parsed = PLAIN.parse([event(FIRING), event(WRONG), 5, event(FIRING, NOW)], NOW, BATCH)
    assert len(parsed.alerts) == 2
    assert [(each.index, each.field) for each in parsed.rejected] == [
        (1, "[1].data.status"),
        (2, "[2]"),
    ]
    assert json.loads(parsed.rejected[0].raw) == event(WRONG)


BATCH = Sender({"content-type": "application/cloudevents-batch+json"})


def test_what_is_wrong_in_a_binary_event_is_kept_with_its_headers() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "other"}
    sender = Sender({**headers, "authorization": "Bearer s3cret"})
    (rejected,) = PLAIN.parse({"x": 1}, NOW, sender).rejected
    assert (rejected.index, rejected.field) == (-1, "type")
    kept = json.loads(rejected.raw)
    assert kept == {
        "specversion": "1.0",
        "id": "1",
        "source": "/a",
        "type": "other",
        "data": {"x": 1},
    }
    mended = CloudEventsSource(CloudEventsConfig(mapping=mapping_of_data()))
    (alert,) = mended.parse(kept, NOW).alerts
    assert alert.labels == {"x": "1"}


def mapping_of_data() -> Any:
    document = {"language": 1, "status": '"firing"', "name": "body.type", "labels": "body.data"}
    return compile_mapping(MappingDocument.model_validate(document), Mistakes())


def test_a_notice_is_a_notice_also_where_there_is_a_mapping() -> None:
    (alert,) = EXPLAINED.parse(event(FIRING), NOW).alerts
    assert alert.name == "A"


def test_a_mapping_sees_decoded_data() -> None:
    source = CloudEventsSource(CloudEventsConfig(mapping=mapping_of_data()))
    raw = {**event(FIRING), "type": "other", "data_base64": base64.b64encode(b'{"y": 2}').decode()}
    del raw["data"]
    (alert,) = source.parse(raw, NOW).alerts
    assert alert.labels == {"y": "2"}


def test_one_letter_holds_all_that_a_mapping_could_not_read_of_a_body() -> None:
    body = {"incidents": [*MAPPED.body["incidents"], {"state": "open"}, {"x": 1}]}
    parsed = EXPLAINED.parse(body, NOW)
    assert len(parsed.alerts) == 2
    (rejected,) = parsed.rejected
    assert (rejected.index, rejected.field) == (-1, "for_each[2].name")
    assert rejected.problem.endswith("1 more of this body are none either")
    assert json.loads(rejected.raw) == body


def test_what_a_value_is_wrong_for_is_told_with_its_item() -> None:
    bad = {**MAPPED.body["incidents"][0], "updated": "noon"}
    (rejected,) = EXPLAINED.parse({"incidents": [bad]}, NOW).rejected
    assert rejected.field == "for_each[0].event_at"


def test_a_body_may_hold_nothing_that_matters() -> None:
    parsed = EXPLAINED.parse({"incidents": [{"state": "draft"}]}, NOW)
    assert (list(parsed.alerts), list(parsed.rejected)) == ([], [])


def test_what_expressions_read_is_read_by_a_thread_sooner() -> None:
    assert EXPLAINED.inline_bytes < PLAIN.inline_bytes


@pytest.mark.parametrize("body", [{}, [], {"alerts": []}, "x", None, 5])
def test_other_json_without_a_mapping_is_refused_with_what_to_do(body: Any) -> None:
    with pytest.raises(PayloadError, match="mapping"):
        PLAIN.parse(body, NOW)


async def test_any_of_the_credentials_lets_in() -> None:
    config = CloudEventsConfig(bearer=(SecretStr("t"),), hmac=HMAC)
    source = CloudEventsSource(config)
    assert (await admission(source, {"authorization": "Bearer t"}, b"x")).outcome == "admitted"
    signed, _ = CASE.signed(b"x")
    assert (await admission(source, signed, b"x")).outcome == "admitted"
    wrong = {**signed, "authorization": "Bearer u"}
    assert (await admission(source, wrong, b"y")).outcome == "denied"
    assert not PLAIN.has_credentials
    assert (await admission(PLAIN, {}, b"")).outcome == "denied"


async def test_the_last_notice_counts() -> None:
    (alert,) = PLAIN.parse(event(FIRING), NOW).alerts
    occurrence = receive(alert, None).occurrence
    for after_s, answer in ((299, "firing"), (301, "cannot_tell")):
        told = await PLAIN.still_firing(occurrence, NOW + timedelta(seconds=after_s))
        assert (told.answer, told.basis) == (answer, "last notice")


def settings(tmp_path: Path, mapping: str) -> Path:
    (tmp_path / "mapping.yaml").write_text(mapping)
    file = tmp_path / "quell.yaml"
    file.write_text("sources: {status: {uses: cloudevents, mapping: mapping.yaml}}\n")
    return file


def test_a_mapping_is_read_beside_quell_yaml(tmp_path: Path) -> None:
    file = settings(tmp_path, MAPPING.read_text())
    payload = json.dumps(MAPPED.body).encode()
    alerts, problems = normalize_payload(load_settings(file, {}), "status", payload)
    assert (len(alerts), problems) == (2, [])
    assert json.loads(alerts[0])["links"] == ["https://status.example/7"]


def test_a_mistake_in_a_mapping_is_told_at_its_place(tmp_path: Path) -> None:
    file = settings(tmp_path, MAPPING.read_text().replace("name: item.title", "name: itm.title"))
    with pytest.raises(ConfigError) as raised:
        normalize_payload(load_settings(file, {}), "status", b"{}")
    assert f"{tmp_path}/mapping.yaml:5:7: unknown name 'itm'" in str(raised.value)


def test_what_an_application_reports_arrives_as_an_alert() -> None:
    source = CloudEventsSource(CloudEventsConfig(bearer=(SecretStr("t"),)))
    parts = replace(gateway_parts(), sources={"cloudevents": (source,)})
    intake = parts.intake
    assert isinstance(intake, MemoryIntake)
    with (
        served(parts) as port,
        Reporter(
            "checkout",
            Endpoint(f"http://127.0.0.1:{port}", token="t"),
            thresholds=Thresholds(window_s=2.4),
        ) as reporter,
    ):
        for _ in range(20):
            reporter.record("gpt-4o", error=TimeoutError(), latency_s=1.0)
        wait_until(lambda: bool(intake.alerts), "an alert")
    (alert,) = intake.alerts
    told = (alert.name, alert.service, alert.severity_hint)
    assert told == ("ModelCallsFailing", "checkout", "critical")
    assert alert.event_at is not None
    assert alert.expires_at is not None
