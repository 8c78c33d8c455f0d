"""Which tokens of Entra ID let a secure webhook in."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal

import jwt
import pytest

from connectors.sources.azure_monitor import AzureMonitorSource, EntraConfig
from connectors.sources.azure_monitor.entra import issuers_of
from engine.errors import TransientError
from engine.ports.source import Admission, Sender
from tests.connectors.sources.azure_monitor.azure import AUDIENCE, NOW, TENANT, source
from tests.services.azure_action_group import secure_webhook_claims
from tests.services.key_issuer import KeyIssuer, key_issuer

AT = int(NOW.timestamp())


@pytest.fixture
def issuer() -> Iterator[KeyIssuer]:
    with key_issuer() as running:
        yield running


def source_of(issuer: KeyIssuer, **entra: Any) -> AzureMonitorSource:
    settings = {"tenant": TENANT, "audience": AUDIENCE, "keys_url": issuer.url, **entra}
    return source(entra=settings)


async def admission(
    source: AzureMonitorSource, token: str, *, after: timedelta = timedelta()
) -> Admission:
    return await source.admit(Sender({"authorization": f"Bearer {token}"}), NOW + after)


@pytest.mark.parametrize("audience", [AUDIENCE, f"api://{AUDIENCE}"])
@pytest.mark.parametrize("version", [1, 2])
async def test_both_versions_of_tokens_let_in_however_the_app_is_named(
    issuer: KeyIssuer, version: Literal[1, 2], audience: str
) -> None:
    claims = secure_webhook_claims(TENANT, AUDIENCE, NOW, version=version)
    guarded = source_of(issuer, audience=audience)
    assert guarded.has_credentials
    found = await admission(guarded, issuer.token(claims, "key-1"))
    assert found.outcome == "admitted"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://sts.windows.net/00001111-aaaa-2222-bbbb-3333cccc4444/"}, "in order"),
        ({"iss": "https://login.microsoftonline.us/" + TENANT + "/v2.0"}, "in order"),
        ({"iss": "https://sts.windows.net/" + TENANT}, "in order"),
        (
            {"aud": "https://management.azure.com"},
            "another audience, 'https://management.azure.com'",
        ),
        ({"aud": None}, "in order"),
        ({"roles": ["Reader"]}, "without the role"),
        ({"roles": "ActionGroupsSecureWebhook, Reader"}, "without the role"),
        ({"roles": None}, "without the role"),
        ({"scp": "ActionGroupsSecureWebhook", "roles": None}, "without the role"),
        ({"azp": "00001111-aaaa-2222-bbbb-3333cccc4444"}, "another app"),
        ({"azp": None}, "another app"),
        ({"azp": ["461e8683-5575-4561-ac7f-899cc907d62a"]}, "another app"),
        ({"appid": "00001111-aaaa-2222-bbbb-3333cccc4444"}, "another app"),
        ({"exp": AT - 61}, "expired"),
        ({"nbf": AT + 61}, "future"),
    ],
    ids=str,
)
async def test_a_token_that_says_anything_else_does_not(
    issuer: KeyIssuer, changes: Mapping[str, Any], why: str
) -> None:
    claims = {**secure_webhook_claims(TENANT, AUDIENCE, NOW), **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    token = issuer.token(kept, "key-1")
    found = await admission(source_of(issuer), token)
    assert found.outcome == "denied"
    assert why in found.why
    assert token not in found.why


async def test_no_other_way_of_signing_lets_in(issuer: KeyIssuer) -> None:
    claims = secure_webhook_claims(TENANT, AUDIENCE, NOW)
    stranger = KeyIssuer("stranger")
    stranger.add("key-1")
    header, payload = issuer.token(claims, "key-1").split(".")[:2]
    forged = [
        jwt.encode(claims, "", algorithm="none", headers={"kid": "key-1"}),
        f"{header}.{payload}.",
        hs256_by_public_key(claims, issuer),
        stranger.token(claims, "key-1"),
        stranger.token(claims, "key-1", jku=issuer.url),
        "no.such.token",
        "",
    ]
    guarded = source_of(issuer)
    for token in forged:
        assert (await admission(guarded, token)).outcome == "denied", token
    assert (await admission(guarded, issuer.token(claims, "key-1"))).outcome == "admitted"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hs256_by_public_key(claims: Mapping[str, Any], issuer: KeyIssuer) -> str:
    """Signed with what everybody knows, as if it were a shared secret."""
    parts = ({"alg": "HS256", "typ": "JWT", "kid": "key-1"}, claims)
    signed = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    mac = hmac.digest(issuer.public_pem("key-1"), signed.encode(), hashlib.sha256)
    return f"{signed}.{encoded(mac)}"


async def test_a_flood_of_key_ids_asks_for_the_keys_once(issuer: KeyIssuer) -> None:
    guarded, claims = source_of(issuer), secure_webhook_claims(TENANT, AUDIENCE, NOW)
    assert (await admission(guarded, issuer.token(claims, "key-1"))).outcome == "admitted"
    # The header alone decides which key is looked for, so one signature does for all.
    signed = issuer.token(claims, "key-1").split(".")[1:]
    for number in range(1_000):
        header = encoded(json.dumps({"alg": "RS256", "kid": f"key-{number + 2}"}).encode())
        token = ".".join([header, *signed])
        found = await admission(guarded, token, after=timedelta(seconds=number * 0.299))
        assert found.outcome == "denied"
    assert issuer.fetches == 1


async def test_a_new_key_is_found_five_minutes_later(issuer: KeyIssuer) -> None:
    guarded, claims = source_of(issuer), secure_webhook_claims(TENANT, AUDIENCE, NOW)
    assert (await admission(guarded, issuer.token(claims, "key-1"))).outcome == "admitted"
    issuer.add("key-2")
    token, five = issuer.token(claims, "key-2"), timedelta(minutes=5)
    assert (await admission(guarded, token, after=five / 2)).outcome == "denied"
    assert (await admission(guarded, token, after=five)).outcome == "admitted"
    assert issuer.fetches == 2


async def test_without_the_keys_the_sender_has_to_come_again(issuer: KeyIssuer) -> None:
    issuer.status = 503
    token = issuer.token(secure_webhook_claims(TENANT, AUDIENCE, NOW), "key-1")
    with pytest.raises(TransientError):
        await admission(source_of(issuer), token)


async def test_role_and_app_can_be_others(issuer: KeyIssuer) -> None:
    app = "00001111-aaaa-2222-bbbb-3333cccc4444"
    guarded = source_of(issuer, role="Alerts", sender_app=app)
    claims = secure_webhook_claims(TENANT, AUDIENCE, NOW)
    assert (await admission(guarded, issuer.token(claims, "key-1"))).outcome == "denied"
    claims |= {"roles": ["Alerts"], "azp": app}
    assert (await admission(guarded, issuer.token(claims, "key-1"))).outcome == "admitted"


@pytest.mark.parametrize(
    ("settings", "issuers"),
    [
        (
            {},
            {
                f"https://sts.windows.net/{TENANT}/",
                f"https://login.microsoftonline.com/{TENANT}/v2.0",
            },
        ),
        (
            {"login": "https://login.microsoftonline.us/"},
            {
                f"https://sts.windows.net/{TENANT}/",
                f"https://login.microsoftonline.us/{TENANT}/v2.0",
            },
        ),
        (
            {"issuers": [f"https://sts.chinacloudapi.cn/{TENANT}/"]},
            {f"https://sts.chinacloudapi.cn/{TENANT}/"},
        ),
    ],
    ids=["public", "us-government", "named"],
)
def test_the_issuers_of_each_cloud(settings: Mapping[str, Any], issuers: set[str]) -> None:
    config = EntraConfig.model_validate({"tenant": TENANT, "audience": AUDIENCE, **settings})
    assert issuers_of(config) == issuers
