"""Who gets in, by which credentials, and what senders meet at the gateway."""

import base64
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import structlog
from pydantic import SecretStr
from typing_extensions import override

from connectors.sources.cloud_monitoring import (
    CloudMonitoringConfig,
    CloudMonitoringSource,
    PullConfig,
    PushConfig,
)
from connectors.sources.cloud_monitoring.source import subscription_of
from engine.core.alert import Alert
from engine.errors import ConfigError, TransientError
from engine.gateway.parts import GatewayParts
from engine.ports.credentials import BasicCredentials
from engine.ports.source import Sender
from tests.connectors.sources.cloud_monitoring.payloads import (
    OPEN,
    SUBSCRIPTION,
    TEST,
    closed,
    opened,
    wrapped,
)
from tests.doubles.gateway import MemoryIntake, gateway_parts, served
from tests.services.key_issuer import KeyIssuer, key_issuer
from tests.services.pubsub_push import PushSubscription

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AUDIENCE = "https://quell.example/v1/alerts/gcp"
EMAIL = "pusher@acme-ops.iam.gserviceaccount.com"
BASIC = {"authorization": f"Basic {base64.b64encode(b'gcm:pass').decode()}"}
BODY = json.dumps(wrapped(OPEN)).encode()


@pytest.fixture
def issuer() -> Iterator[KeyIssuer]:
    with key_issuer() as running:
        yield running


def webhook(**settings: Any) -> CloudMonitoringSource:
    basic = (BasicCredentials(user="gcm", password=SecretStr("pass")),)
    tokens = (SecretStr("t0ken-of-today"), SecretStr("t0ken-of-tomorrow"))
    return CloudMonitoringSource(CloudMonitoringConfig(tokens=tokens, basic=basic, **settings))


def pushed(issuer: KeyIssuer, *subscriptions: str) -> CloudMonitoringSource:
    push = PushConfig(audience=AUDIENCE, email=EMAIL, subscriptions=subscriptions, keys=issuer.url)
    return CloudMonitoringSource(CloudMonitoringConfig(name="gcp", push=push))


def pusher(issuer: KeyIssuer | None, **changes: Any) -> PushSubscription:
    sender = PushSubscription("", issuer, AUDIENCE, EMAIL, SUBSCRIPTION, now=NOW.timestamp)
    return replace(sender, **changes)


def bearer(token: str) -> Sender:
    return Sender({"authorization": f"Bearer {token}"})


async def outcome(source: CloudMonitoringSource, sender: Sender, now: datetime = NOW) -> str:
    return (await source.admit(sender, now)).outcome


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, {"auth_token": "t0ken-of-today"}, "admitted"),
        ({}, {"auth_token": "t0ken-of-tomorrow"}, "admitted"),
        (BASIC, {}, "admitted"),
        (BASIC, {"auth_token": "wrong"}, "admitted"),
        ({}, {}, "denied"),
        ({}, {"auth_token": ""}, "denied"),
        ({}, {"auth_token": "t0ken"}, "denied"),
        ({}, {"token": "t0ken-of-today"}, "denied"),
        ({"authorization": "Bearer t0ken-of-today"}, {}, "denied"),
        ({"authorization": "Basic eDp5"}, {}, "denied"),
    ],
    ids=str,
)
async def test_a_webhook_s_credentials(
    headers: Mapping[str, str], query: Mapping[str, str], expected: str
) -> None:
    found = await webhook().admit(Sender(headers, query), NOW)
    assert found.outcome == expected
    assert "t0ken" not in found.why


async def test_no_forgery_of_one_bit_of_a_token_in_the_address_gets_in() -> None:
    source, draw = webhook(), random.Random(2)
    for _ in range(1_000):
        token = bytearray(b"t0ken-of-today")
        token[draw.randrange(len(token))] ^= 1 << draw.randrange(8)
        assert (
            await outcome(source, Sender({}, {"auth_token": token.decode("latin-1")})) == "denied"
        )


def test_a_source_that_only_pulls_needs_no_door() -> None:
    pull = PullConfig(subscriptions=(SUBSCRIPTION,))
    assert CloudMonitoringSource(CloudMonitoringConfig(pull=pull)).has_credentials
    assert not CloudMonitoringSource(CloudMonitoringConfig()).has_credentials


def test_without_google_auth_only_what_asks_google_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "google", None)
    monkeypatch.delitem(sys.modules, "google.oauth2", raising=False)
    CloudMonitoringSource(CloudMonitoringConfig())
    pull = PullConfig(subscriptions=(SUBSCRIPTION,))
    with pytest.raises(ConfigError, match="install quell with its extra `gcp`"):
        CloudMonitoringSource(CloudMonitoringConfig(pull=pull))


async def test_a_push_with_google_s_token_gets_in(issuer: KeyIssuer) -> None:
    source = pushed(issuer)
    for name in ("https://accounts.google.com", "accounts.google.com"):
        assert await outcome(source, bearer(pusher(issuer).token(iss=name))) == "admitted"
    old = pusher(issuer).token()
    assert await outcome(source, bearer(old), NOW + timedelta(minutes=59)) == "admitted"


AT = int(NOW.timestamp())


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://accounts.evil.example"},
        {"iss": "http://accounts.google.com"},
        {"aud": "https://other.example"},
        {"email": "pusher@evil.iam.gserviceaccount.com"},
        {"email": EMAIL.upper()},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": None},
        {"exp": AT - 61},
        {"iat": AT + 61},
    ],
    ids=str,
)
async def test_a_token_that_says_anything_else_does_not(
    issuer: KeyIssuer, changes: Mapping[str, Any]
) -> None:
    found = await pushed(issuer).admit(bearer(pusher(issuer).token(**changes)), NOW)
    assert found.outcome == "denied"
    assert found.why


async def test_a_token_that_google_did_not_sign_does_not(issuer: KeyIssuer) -> None:
    stranger = KeyIssuer("stranger")
    stranger.add("key-1")
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"key-1","typ":"JWT"}').decode()
    claims = pusher(issuer).token().split(".")[1]
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    by_public_key = hmac.sign(f"{head}.{claims}".encode(), issuer.public_pem("key-1"))
    none = jwt.utils.base64url_encode(b'{"alg":"none","kid":"key-1"}').decode()
    forged = {
        "another key": pusher(stranger).token(),
        "HS256": f"{head}.{claims}.{jwt.utils.base64url_encode(by_public_key).decode()}",
        "none": f"{none}.{claims}.",
        "nothing": "",
        "a token of the address": "t0ken",
    }
    source = pushed(issuer)
    for name, token in forged.items():
        assert await outcome(source, bearer(token)) == "denied", name


async def test_a_flood_of_key_ids_asks_google_once_in_five_minutes(issuer: KeyIssuer) -> None:
    source = pushed(issuer)
    _, claims, signature = pusher(issuer).token().split(".")
    for number in range(1_000):
        head = jwt.utils.base64url_encode(b'{"alg":"RS256","kid":"%d"}' % number).decode()
        assert await outcome(source, bearer(f"{head}.{claims}.{signature}")) == "denied"
    assert issuer.fetches == 1
    assert await outcome(source, bearer(pusher(issuer).token())) == "admitted"
    assert issuer.fetches == 1


async def test_where_google_s_keys_cannot_be_had_the_sender_comes_again(issuer: KeyIssuer) -> None:
    issuer.status = 503
    with pytest.raises(TransientError):
        await pushed(issuer).admit(bearer(pusher(issuer).token()), NOW)


async def test_only_listed_subscriptions_get_in(issuer: KeyIssuer) -> None:
    source, sender = pushed(issuer, SUBSCRIPTION), bearer(pusher(issuer).token())
    assert await outcome(source, sender) == "by_body"
    other = {**wrapped(OPEN), "subscription": "projects/evil/subscriptions/quell"}
    for body, expected in ((BODY, "admitted"), (json.dumps(other).encode(), "denied")):
        assert (await source.admit_body(sender, body, NOW)).outcome == expected
    stranger = bearer(pusher(issuer).token(email="a@b"))
    assert (await source.admit_body(stranger, BODY, NOW)).outcome == "denied"
    assert (await source.admit_body(Sender(), BODY, NOW)).outcome == "denied"


@pytest.mark.parametrize(
    ("body", "header", "expected"),
    [
        (b'{"subscription": "a"}', "b", "a"),
        (b'{"subscription": 3}', "b", ""),
        (b'{"incident": {}}', "b", "b"),
        (b'{"incident": {}}', None, ""),
        (b"[1]", "b", "b"),
        (b"{", "b", "b"),
        (b"\xff", None, ""),
        (b"[" * 100_000, None, ""),
        (b"1" * 5_000, None, ""),
    ],
)
def test_the_subscription_is_in_the_envelope_or_in_a_header(
    body: bytes, header: str | None, expected: str
) -> None:
    headers = {} if header is None else {"x-goog-pubsub-subscription-name": header}
    assert subscription_of(Sender(headers), body) == expected


def parts_of(source: CloudMonitoringSource) -> GatewayParts:
    return replace(
        gateway_parts(loopback=False), sources={"cloud-monitoring": (source,), "gcp": (source,)}
    )


def kept(parts: GatewayParts) -> list[Alert]:
    assert isinstance(parts.intake, MemoryIntake)
    return parts.intake.alerts


def letters(parts: GatewayParts) -> int:
    assert isinstance(parts.intake, MemoryIntake)
    return len(parts.intake.letters)


class FlakyIntake(MemoryIntake):
    """A broker that is away for the first three appends."""

    tries = 0

    @override
    async def accept(self, source: str, alerts: Any, truncated: int) -> None:
        self.tries += 1
        if self.tries <= 3:
            raise TransientError("no broker")
        await super().accept(source, alerts, truncated)


def test_pushes_come_again_through_an_outage_until_they_are_kept(issuer: KeyIssuer) -> None:
    parts = replace(parts_of(pushed(issuer, SUBSCRIPTION)), intake=FlakyIntake())
    with served(parts) as port:
        sender = pusher(issuer, endpoint=f"http://127.0.0.1:{port}/v1/alerts/gcp")
        sender.publish(OPEN)
        sender.publish(closed())
        sender.deliver(within_s=20)
    assert (sender.waiting, sender.expired) == ([], [])
    assert sender.answers == {503: 3, 200: 2}
    assert sorted(alert.status for alert in kept(parts)) == ["firing", "resolved"]


def test_what_pub_sub_would_repeat_for_days_is_acknowledged_once_it_is_kept(
    issuer: KeyIssuer,
) -> None:
    parts = parts_of(pushed(issuer))
    with served(parts) as port:
        sender = pusher(issuer, endpoint=f"http://127.0.0.1:{port}/v1/alerts/gcp")
        for poison in (b"{", {"incident": 1}, opened(state="odd"), OPEN, TEST):
            sender.publish(poison)
        sender.deliver(within_s=20)
        assert sender.answers == {200: 5}
        unwrapped = replace(pusher(issuer, endpoint=sender.endpoint), wrapped=False, waiting=[])
        for notification in (OPEN, b"no JSON"):
            unwrapped.publish(notification)
        unwrapped.deliver(within_s=20)
    assert (unwrapped.waiting, letters(parts), len(kept(parts))) == ([], 4, 3)


def test_a_subscription_that_is_not_listed_is_denied_and_keeps_its_messages(
    issuer: KeyIssuer,
) -> None:
    parts = parts_of(pushed(issuer, SUBSCRIPTION))
    with served(parts) as port:
        endpoint = f"http://127.0.0.1:{port}/v1/alerts/gcp"
        sender = pusher(issuer, endpoint=endpoint, name="projects/other/subscriptions/quell")
        waiting = sender.publish(OPEN)
        assert sender.attempt(waiting) == 401
        nobody = pusher(None, endpoint=endpoint)
        assert nobody.attempt(nobody.publish(OPEN)) == 401
    assert (sender.waiting, kept(parts), letters(parts)) == ([waiting], [], 0)


def test_a_token_in_the_address_is_in_no_log_and_no_answer(issuer: KeyIssuer) -> None:
    parts = parts_of(webhook())
    tokens = ("t0ken-of-today", "t0ken-of-yesterday", "t0ken-of-today%22")
    with structlog.testing.capture_logs() as logs, served(parts) as port:
        for body in (OPEN, {"incident": 3}, b"{"):
            for token in tokens:
                endpoint = f"http://127.0.0.1:{port}/v1/alerts/gcp?auth_token={token}"
                sender = pusher(None, endpoint=endpoint, wrapped=False)
                sender.attempt(sender.publish(body))
    assert len(kept(parts)) == 1
    assert letters(parts) == 2
    assert {entry["event"] for entry in logs} == {"intake_denied", "alerts_rejected"}
    assert "t0ken" not in json.dumps(logs)
    assert "t0ken" not in parts.metrics.text().decode()
