from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.streams.kafka import KafkaConfig, KafkaStream
from connectors.streams.kafka.cluster import Cluster
from connectors.streams.kafka.refusal import refusal
from engine.errors import ConfigError, TransientError
from engine.ports.stream import Message
from tests.connectors.streams.kafka.secured import WAYS, address, changed, config, security
from tests.connectors.streams.kafka.test_stream import from_the_start
from tests.services.certificates import Authority
from tests.services.process import free_port
from tests.services.secured_kafka import CLIENT_SECRET, PASSWORD, SecuredKafka, wrongly_named
from tests.services.token_issuer import AUDIENCE, TokenIssuer

WRONG = "wr0ng-s3cret"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that neither side trusts, though it bears the other's name."""
    return Authority(tmp_path_factory.mktemp("stranger"))


async def refused(settings: KafkaConfig, caplog: pytest.LogCaptureFixture) -> str:
    """What opening says about it; no secret may be in that, nor in a log."""
    stream = KafkaStream(settings)
    with pytest.raises(ConfigError) as raised:
        await stream.open()
    await stream.close()
    for secret in (PASSWORD, CLIENT_SECRET, WRONG, "eyJ"):
        assert secret not in f"{raised.value!r} {raised.value.__cause__!r} {caplog.text}"
    return str(raised.value)


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_certificate_of_another_authority_is_refused(
    secured_kafka: SecuredKafka, stranger: Authority, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    ours = changed(security(secured_kafka, way), "tls", ca=stranger.certificate)
    told = await refused(config(secured_kafka, way, security=ours), caplog)
    assert "certificate that can't be trusted" in told
    assert "set security.tls.ca" in told


@pytest.mark.parametrize("way", WAYS)
async def test_a_host_name_that_the_certificate_does_not_have_is_refused(
    secured_kafka: SecuredKafka, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = wrongly_named(address(secured_kafka, way))
    told = await refused(config(secured_kafka, way, bootstrap_servers=(other,)), caplog)
    assert "not valid for '127.0.0.1'" in told
    assert "advertised.listeners" in told


async def test_an_advertised_name_that_the_certificate_does_not_have_is_refused(
    secured_kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    astray = config(secured_kafka, "tls", bootstrap_servers=(secured_kafka.astray,), deadline_s=3)
    told = await refused(astray, caplog)
    assert told.startswith(f"connect on Kafka: {wrongly_named(secured_kafka.astray)}")
    assert "not valid for '127.0.0.1'" in told


@pytest.mark.parametrize("way", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize(
    "wrong", [{"password": WRONG}, {"user": "nobody"}], ids=["password", "user"]
)
async def test_wrong_credentials_are_refused(
    secured_kafka: SecuredKafka, way: str, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    ours = changed(security(secured_kafka, way), "sasl", **wrong)
    told = await refused(config(secured_kafka, way, security=ours), caplog)
    assert "Authentication failed" in told
    assert "check security.sasl" in told


async def test_a_wrong_client_secret_is_refused_by_the_issuer(
    secured_kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    ours = changed(security(secured_kafka, "OAUTHBEARER"), "sasl", client_secret=WRONG)
    told = await refused(config(secured_kafka, "OAUTHBEARER", security=ours), caplog)
    assert "refuses client 'quell': invalid_client" in told


@pytest.fixture
def forger(secured_kafka: SecuredKafka) -> Iterator[TokenIssuer]:
    """Gives tokens that another key signed."""
    with TokenIssuer(secured_kafka.issuer.client_id, CLIENT_SECRET).serving() as issuer:
        yield issuer


async def test_a_forged_token_is_refused_by_the_broker(
    secured_kafka: SecuredKafka, forger: TokenIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    ours = changed(security(secured_kafka, "OAUTHBEARER"), "sasl", token_url=forger.url)
    told = await refused(config(secured_kafka, "OAUTHBEARER", security=ours), caplog)
    assert "invalid_token" in told


async def test_a_token_for_another_audience_is_refused_by_the_broker(
    secured_kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    secured_kafka.issuer.audience = "elsewhere"
    try:
        told = await refused(config(secured_kafka, "OAUTHBEARER"), caplog)
    finally:
        secured_kafka.issuer.audience = AUDIENCE
    assert "invalid_token" in told


async def test_without_a_client_certificate_mtls_is_refused(
    secured_kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    ours = security(secured_kafka, "tls")
    told = await refused(config(secured_kafka, "mtls", security=ours), caplog)
    assert "refuses TLS with no certificate" in told


async def test_a_client_certificate_of_another_authority_is_refused(
    secured_kafka: SecuredKafka, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    issued = stranger.issue("quell")
    ours = changed(
        security(secured_kafka, "tls"), "tls", certificate=issued.certificate, key=issued.key
    )
    told = await refused(config(secured_kafka, "mtls", security=ours), caplog)
    assert "refuses TLS with ours" in told


async def test_a_port_that_does_not_offer_the_mechanism_is_refused(
    secured_kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    ours = security(secured_kafka, "SCRAM-SHA-256")
    told = await refused(config(secured_kafka, "tls", security=ours), caplog)
    assert "doesn't offer the mechanism of security.sasl" in told


async def test_an_authority_file_that_is_not_there_is_a_mistake_to_correct(
    secured_kafka: SecuredKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = {"tls": {"ca": tmp_path / "absent.pem"}}
    told = await refused(config(secured_kafka, "tls", security=ours), caplog)
    assert "absent.pem' can't be used: No such file" in told


async def test_brokers_that_are_away_refuse_nothing(secured_kafka: SecuredKafka) -> None:
    nobody = (f"localhost:{free_port()}",)
    stream = KafkaStream(config(secured_kafka, "mtls", bootstrap_servers=nobody))
    with pytest.raises(TransientError, match="Unable to bootstrap"):
        await stream.open()


async def test_an_issuer_that_is_away_is_waited_for(secured_kafka: SecuredKafka) -> None:
    ours = changed(
        security(secured_kafka, "OAUTHBEARER"), "sasl", token_url=f"http://localhost:{free_port()}"
    )
    stream = KafkaStream(config(secured_kafka, "OAUTHBEARER", security=ours))
    with pytest.raises(TransientError):
        await stream.open()
    await stream.close()


async def test_while_it_runs_a_refusal_is_waited_for(
    secured_kafka: SecuredKafka, stranger: Authority, tmp_path: Path
) -> None:
    """Senders keep their alerts meanwhile, and a certificate may be on its way of being renewed."""
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(secured_kafka.authority.certificate.read_bytes())
    settings = config(secured_kafka, "tls", security={"tls": {"ca": trusted}})
    for broken in (stranger.certificate.read_bytes(), b"half a file"):
        trusted.write_bytes(broken)
        stream = KafkaStream(settings)
        for use in (stream.append([Message("key", b"value")]), stream.check(), subscribed(stream)):
            with pytest.raises(TransientError):
                await use
        trusted.write_bytes(secured_kafka.authority.certificate.read_bytes())
        await stream.append([Message("key", b"value")])
        await stream.close()


async def subscribed(stream: KafkaStream) -> None:
    async with stream.subscribe(from_the_start, max_records=1):
        pass


async def test_where_all_is_well_nothing_is_told(secured_kafka: SecuredKafka) -> None:
    for way in WAYS:
        assert await refusal(Cluster(config(secured_kafka, way))) == ""
