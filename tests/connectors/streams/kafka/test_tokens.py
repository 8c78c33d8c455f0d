import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from connectors.streams.kafka.security import OAuthSasl
from connectors.streams.kafka.tokens import ClientCredentials
from engine.ports.known_secrets import KNOWN
from tests.services.certificates import Authority
from tests.services.process import free_port
from tests.services.token_issuer import TokenIssuer

CLIENT = "quell:prod"  # a colon, as a header's pair has one
SECRET = "s3cret+of/the=client%"


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer(CLIENT, SECRET).serving() as issuer:
        yield issuer


def tokens(issuer: TokenIssuer, **changes: Any) -> ClientCredentials:
    settings = {
        "mechanism": "OAUTHBEARER",
        "token_url": f"{issuer.url}/token",
        "client_id": CLIENT,
        "client_secret": SECRET,
    }
    return ClientCredentials(OAuthSasl.model_validate(settings | changes))


async def test_a_token_is_asked_for_once_and_shared(issuer: TokenIssuer) -> None:
    provider = tokens(issuer, scope="kafka:read kafka:write")
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(provider.token()) for _ in range(5)]
    assert len({task.result() for task in asked}) == 1
    form = {"grant_type": ["client_credentials"], "scope": ["kafka:read kafka:write"]}
    assert issuer.requests == [form]
    assert isinstance(provider, AbstractTokenProvider)
    # It travels to the brokers, and what comes back may quote it.
    assert KNOWN.masker.found(asked[0].result()) == "stream.security.sasl"


@pytest.mark.parametrize(
    ("lasts_s", "later_s", "issued"),
    [
        pytest.param(3600, 3530, 1, id="lasts"),
        pytest.param(3600, 3541, 2, id="a-minute-before-its-end"),
        pytest.param(10, 6.0, 1, id="short-lasts"),
        pytest.param(10, 8.1, 2, id="last-fifth-of-a-short-one"),
        pytest.param(None, 0, 2, id="without-a-lifetime"),
    ],
)
async def test_a_token_is_renewed_shortly_before_its_end(
    issuer: TokenIssuer, lasts_s: float | None, later_s: float, issued: int
) -> None:
    issuer.lasts_s = lasts_s
    provider = tokens(issuer)
    await provider.token()
    grow_older(provider, later_s)
    await provider.token()
    assert issuer.issued == issued


def grow_older(provider: ClientCredentials, seconds: float) -> None:
    provider._renew_at -= seconds
    provider._ends_at -= seconds


async def test_a_token_that_still_holds_serves_while_the_issuer_is_away(
    issuer: TokenIssuer,
) -> None:
    issuer.lasts_s = 3600
    provider = tokens(issuer)
    first = await provider.token()
    issuer.answers_instead = (503, b"away")
    grow_older(provider, 3550)
    assert await provider.token() == first
    grow_older(provider, 51)
    with pytest.raises(KafkaConnectionError, match="status 503"):
        await provider.token()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        pytest.param((401, b'{"error": "invalid_client"}'), "refused", "invalid_client", id="401"),
        pytest.param((400, b'{"error": "invalid_scope"}'), "refused", "invalid_scope", id="scope"),
        pytest.param((403, b"<html>s3cret</html>"), "refused", "status 403", id="no-json"),
        pytest.param((400, b'{"error": "S3cret!"}'), "refused", "status 400", id="no-code"),
        pytest.param((429, b""), "away", "status 429", id="busy"),
        pytest.param((500, b""), "away", "status 500", id="broken"),
        pytest.param((302, b""), "away", "status 302", id="redirect"),
        pytest.param((200, b'{"expires_in": 60}'), "away", "another answer", id="no-token"),
        pytest.param(
            (200, b'{"access_token": "s3cret\\u0001x"}'), "away", "another answer", id="no-text"
        ),
    ],
)
async def test_an_answer_without_a_token_is_told_without_its_body(
    issuer: TokenIssuer, answer: tuple[int, bytes], error: str, says: str
) -> None:
    issuer.answers_instead = answer
    kind = AuthenticationFailedError if error == "refused" else KafkaConnectionError
    with pytest.raises(kind, match=says) as raised:
        await tokens(issuer).token()
    assert "s3cret" not in f"{raised.value!r} {raised.value.__cause__!r}".lower()


async def test_a_wrong_secret_is_refused(issuer: TokenIssuer) -> None:
    with pytest.raises(AuthenticationFailedError, match="refuses client 'quell:prod'") as raised:
        await tokens(issuer, client_secret="wr0ng").token()
    assert "wr0ng" not in str(raised.value)


async def test_an_issuer_that_is_away_is_told_as_such() -> None:
    issuer = TokenIssuer(CLIENT, SECRET)
    issuer.url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(KafkaConnectionError, match=r"no token from http://127\.0\.0\.1"):
        await tokens(issuer).token()


async def test_the_token_endpoints_certificate_is_checked(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "strangers")
    issuer = TokenIssuer(CLIENT, SECRET)
    with issuer.serving(authority.issue("issuer", ["localhost"])):
        assert await tokens(issuer, ca=authority.certificate).token()
        for ca in (stranger.certificate, None):
            with pytest.raises(KafkaConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await tokens(issuer, ca=ca).token()
        issuer.url = issuer.url.replace("localhost", "127.0.0.1")
        with pytest.raises(KafkaConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await tokens(issuer, ca=authority.certificate).token()
    assert issuer.issued == 1
