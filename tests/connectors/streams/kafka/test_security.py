import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connectors.streams.kafka import (
    KafkaCheckpoints,
    KafkaConfig,
    KafkaStream,
    incident_publisher,
)
from connectors.streams.kafka.security import client_context
from engine.errors import TransientError
from engine.ports.stream import Message
from engine.settings import load_settings
from tests.connectors.streams.kafka.secured import WAYS, config
from tests.connectors.streams.kafka.test_stream import all_records
from tests.services.certificates import Authority
from tests.services.secured_kafka import IMPATIENT, SecuredKafka

PAGE = (Path(__file__).parents[4] / "docs" / "kafka.md").read_text()
DOCUMENTED = [block.split("```")[0] for block in PAGE.split("```yaml\n")[1:]]
OAUTH = {
    "mechanism": "OAUTHBEARER",
    "token_url": "https://issuer.test/token",
    "client_id": "quell",
    "client_secret": "s3cret",
}
SCRAM = {"mechanism": "SCRAM-SHA-512", "user": "quell", "password": "s3cret"}


def configured(security: dict[str, Any]) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": ["kafka:9093"], "security": security})


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_appended_is_read(secured_kafka: SecuredKafka, way: str) -> None:
    stream = KafkaStream(config(secured_kafka, way))
    try:
        await stream.open()
        await stream.append([Message("gpu-07", b"one"), Message("gpu-07", b"two")])
        await stream.check()
        assert [record.value for record in await all_records(stream)] == [b"one", b"two"]
    finally:
        await stream.close()


@pytest.mark.parametrize("way", WAYS)
async def test_incidents_are_published_and_checkpoints_copied(
    secured_kafka: SecuredKafka, way: str
) -> None:
    """With the documented permissions, which USER has for topics of this prefix alone."""
    settings = config(secured_kafka, way)
    publisher, copy = incident_publisher(settings), KafkaCheckpoints(settings)
    assert publisher is not None
    try:
        await publisher.open()
        await publisher.publish(Message("incident", b"{}"))
        await copy.append(b"no checkpoint\n")
        assert await copy.last_seq() == 0
    finally:
        await publisher.close()
        await copy.close()


async def test_connections_that_the_broker_ends_for_their_age_lose_and_double_nothing(
    secured_kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    stream, sent = KafkaStream(config(secured_kafka, IMPATIENT)), 0
    try:
        await stream.open()
        async with asyncio.timeout(30):
            while caplog.text.count("Got error produce response") < 2:
                await stream.append([Message("gpu-07", b"%d" % sent)])
                sent += 1
                await asyncio.sleep(0.02)
        found = [int(record.value) for record in await all_records(stream)]
        assert found == list(range(sent))
    finally:
        await stream.close()


async def test_only_the_topics_that_were_granted_can_be_used(secured_kafka: SecuredKafka) -> None:
    """So the cases above show that what the documentation grants is enough."""
    await secured_kafka.broker.create_topic("not-granted.alerts", partitions=2)
    ours = config(
        secured_kafka,
        "SCRAM-SHA-512",
        topic_prefix="not-granted.",
        create_topics=False,
        deadline_s=3,
    )
    stream = KafkaStream(ours)
    with pytest.raises(TransientError, match="is absent, or quell may not see it"):
        await stream.append([Message("gpu-07", b"one")])
    await stream.close()


@pytest.mark.parametrize(
    ("security", "says"),
    [
        pytest.param({"sasl": SCRAM | {"mechanism": "PLAIN"}}, "add tls", id="plain-in-the-clear"),
        pytest.param({"sasl": OAUTH}, "add tls", id="token-in-the-clear"),
        pytest.param(
            {"tls": {}, "sasl": OAUTH | {"token_url": "http://issuer.test/token"}},
            "must begin with https://",
            id="client-secret-in-the-clear",
        ),
        pytest.param({"tls": {"key": "a.key"}}, "add certificate", id="key-alone"),
        pytest.param({"tls": {"verify": False}}, "verify", id="no-way-to-turn-checks-off"),
        pytest.param({"tls": {}, "sasl": SCRAM | {"mechanism": "GSSAPI"}}, "SCRAM", id="unknown"),
        pytest.param({"tls": {}, "sasl": OAUTH | {"password": "s3cret"}}, "password", id="mixed"),
    ],
)
def test_a_section_that_would_be_unsafe_or_makes_no_sense_is_refused(
    security: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as raised:
        configured(security)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("sasl", [SCRAM, OAUTH], ids=["scram", "oauth"])
def test_a_section_does_not_show_its_secret(sasl: dict[str, Any]) -> None:
    assert "s3cret" not in repr(configured({"tls": {}, "sasl": sasl}))


def test_scram_works_without_tls_and_a_local_token_endpoint_without_https() -> None:
    assert configured({"sasl": SCRAM}).security.tls is None
    local = OAUTH | {"token_url": "http://127.0.0.1:9000/token"}
    assert configured({"tls": {}, "sasl": local}).security.sasl is not None


def test_files_count_from_the_settings_file_that_names_them(tmp_path: Path) -> None:
    file = tmp_path / "quell.yaml"
    file.write_text("stream: {uses: kafka}\n")
    tls = {"ca": "tls/ca.pem", "certificate": "/run/quell.pem"}
    values = {"bootstrap_servers": ["kafka:9093"], "security": {"tls": tls}}
    found = load_settings(file, {}).configure(KafkaConfig, ("stream",), values).security.tls
    assert found is not None
    assert (found.ca, found.certificate) == (tmp_path / "tls/ca.pem", Path("/run/quell.pem"))


def test_a_mistake_in_the_section_is_shown_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "quell.yaml"
    file.write_text(
        "stream:\n  security:\n    tls: {}\n    sasl: {mechanism: OAUTHBEARER, user: x}\n"
    )
    values = {
        "bootstrap_servers": ["kafka:9093"],
        "security": {"tls": {}, "sasl": {"mechanism": "OAUTHBEARER", "user": "s3cret"}},
    }
    with pytest.raises(Exception, match=re.escape(f"{file}:4:")) as raised:
        load_settings(file, {}).configure(KafkaConfig, ("stream",), values)
    assert "s3cret" not in str(raised.value)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    issued, other = ours.issue("quell"), ours.issue("other")
    absent, garbage = tmp_path / "absent.pem", tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    for ca, certificate, key, says in (
        (absent, None, None, f"ca '{absent}' can't be used: No such file"),
        (garbage, None, None, f"ca '{garbage}' can't be used"),
        (ours.certificate, absent, None, f"certificate '{absent}' with key '{absent}'"),
        (ours.certificate, issued.certificate, other.key, "KEY_VALUES_MISMATCH"),
    ):
        with pytest.raises(TransientError, match=re.escape(says)):
            client_context(ca, certificate, key)
    client_context(ours.certificate, issued.both)


@pytest.mark.parametrize("block", DOCUMENTED)
def test_the_documented_blocks_are_valid(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_PASSWORD", "KAFKA_CLIENT_SECRET"):
        monkeypatch.setenv(name, "s3cret")
    file = tmp_path / "quell.yaml"
    file.write_text(block)
    loaded = load_settings(file, {})
    values = {key: value for key, value in loaded.settings.stream.items() if key != "uses"}
    assert loaded.configure(KafkaConfig, ("stream",), values).security.tls is not None


def test_secrets_are_kept_as_such() -> None:
    sasl = configured({"tls": {}, "sasl": OAUTH}).security.sasl
    assert sasl is not None
    assert sasl.model_dump()["client_secret"] == SecretStr("s3cret")
