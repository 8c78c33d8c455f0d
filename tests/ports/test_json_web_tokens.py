"""Which tokens of an issuer let a sender in, and how often its keys are asked for."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from engine.errors import TransientError
from engine.ports.json_web_tokens import KeySet, TokenCheck, WrongTokenError
from tests.services.key_issuer import KeyIssuer, key_issuer

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
CLAIMS: Mapping[str, Any] = {
    "iss": "https://issuer.test",
    "aud": "quell",
    "iat": AT - 10,
    "exp": AT + 3600,
    "email": "push@project.test",
}


@pytest.fixture
def issuer() -> Iterator[KeyIssuer]:
    with key_issuer() as running:
        yield running


def check_of(issuer: KeyIssuer) -> TokenCheck:
    issuers = frozenset({"https://issuer.test", "https://old.issuer.test"})
    return TokenCheck(KeySet(issuer.url), issuers, frozenset({"quell", "quell-too"}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"iss": "https://old.issuer.test"},
        {"aud": ["other", "quell-too"]},
        {"exp": AT - 30},
        {"nbf": AT + 30},
        {"iat": AT - 10.5},
    ],
    ids=str,
)
async def test_a_token_in_order_gives_its_claims(
    issuer: KeyIssuer, changes: Mapping[str, Any]
) -> None:
    token = issuer.token({**CLAIMS, **changes}, "key-1")
    assert (await check_of(issuer).claims(token, NOW))["email"] == "push@project.test"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.test"},
        {"iss": None},
        {"iss": ["https://issuer.test"]},
        {"aud": "other"},
        {"aud": None},
        {"aud": 1},
        {"exp": AT - 61},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"nbf": AT + 61},
        {"iat": AT + 61},
        {"iat": None},
    ],
    ids=str,
)
async def test_one_that_says_anything_else_gives_nothing(
    issuer: KeyIssuer, changes: Mapping[str, Any]
) -> None:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    token = issuer.token(claims, "key-1")
    with pytest.raises(WrongTokenError):
        await check_of(issuer).claims(token, NOW)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "other"}, "a token for another audience, 'other'"),
        (
            {"exp": AT - 400},
            f"an expired token: exp {AT - 400}, and this machine's clock says {AT}",
        ),
        (
            {"iat": AT + 400},
            f"a token of the future: iat {AT + 400}, and this machine's clock says {AT}",
        ),
    ],
    ids=["audience", "expired", "future"],
)
async def test_the_log_is_told_what_differs(
    issuer: KeyIssuer, changes: Mapping[str, Any], why: str
) -> None:
    token = issuer.token({**CLAIMS, **changes}, "key-1")
    with pytest.raises(WrongTokenError) as caught:
        await check_of(issuer).claims(token, NOW)
    assert str(caught.value) == why


async def test_only_this_issuer_s_own_signature_counts(issuer: KeyIssuer) -> None:
    stranger = KeyIssuer("stranger")
    stranger.add("key-1")
    encode = jwt.utils.base64url_encode
    header = encode(b'{"alg":"HS256","kid":"key-1","typ":"JWT"}').decode()
    claims = issuer.token(CLAIMS, "key-1").split(".")[1]
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = hmac.sign(f"{header}.{claims}".encode(), issuer.public_pem("key-1"))
    tokens = {
        "another key": stranger.token(CLAIMS, "key-1"),
        "alg none": jwt.encode(dict(CLAIMS), "", "none", {"kid": "key-1"}),
        "HS256 with the public key": f"{header}.{claims}.{encode(signature).decode()}",
        "no key id": jwt.encode(dict(CLAIMS), issuer.keys["key-1"], "RS256"),
        "unknown key id": stranger.token(CLAIMS, "key-1", kid="key-2"),
        "nothing": "",
        "no token": "abc",
        "too long": "a" * 20_000,
        "no signature": issuer.token(CLAIMS, "key-1").rpartition(".")[0] + ".",
    }
    check = check_of(issuer)
    await check.claims(issuer.token(CLAIMS, "key-1"), NOW)
    for name, token in tokens.items():
        with pytest.raises(WrongTokenError) as wrong:
            await check.claims(token, NOW)
        assert str(wrong.value), name
    assert issuer.fetches == 1


async def test_a_flood_of_key_ids_asks_the_issuer_once_in_five_minutes(issuer: KeyIssuer) -> None:
    check, stranger = check_of(issuer), KeyIssuer("stranger")
    stranger.add("any")
    forged = stranger.token(CLAIMS, "any")
    signature = forged.rpartition(".")[2]
    for number in range(1_000):
        header = jwt.utils.base64url_encode(b'{"alg":"RS256","kid":"%d"}' % number).decode()
        with pytest.raises(WrongTokenError):
            await check.claims(f"{header}.{forged.split('.')[1]}.{signature}", NOW)
    assert issuer.fetches == 1
    with pytest.raises(WrongTokenError):
        await check.claims(forged, NOW + timedelta(minutes=5))
    assert issuer.fetches == 2


async def test_a_new_key_is_known_after_five_minutes_and_a_withdrawn_one_goes(
    issuer: KeyIssuer,
) -> None:
    check = check_of(issuer)
    await check.claims(issuer.token(CLAIMS, "key-1"), NOW)
    issuer.add("key-2")
    later = NOW + timedelta(minutes=6)
    await check.claims(issuer.token(CLAIMS, "key-2"), later)
    old = issuer.token({**CLAIMS, "exp": AT + 10**6}, "key-1")
    del issuer.keys["key-1"]
    await check.claims(old, later + timedelta(hours=5))
    with pytest.raises(WrongTokenError):
        await check.claims(old, later + timedelta(hours=7))


async def test_an_issuer_that_does_not_answer_is_no_reason_to_refuse(issuer: KeyIssuer) -> None:
    check, token = check_of(issuer), issuer.token(CLAIMS, "key-1")
    issuer.status = 503
    for seconds in (0, 5, 9):
        with pytest.raises(TransientError, match="keys"):
            await check.claims(token, NOW + timedelta(seconds=seconds))
    assert issuer.fetches == 1
    issuer.status = 200
    await check.claims(token, NOW + timedelta(seconds=10))
