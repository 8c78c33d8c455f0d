"""Who signed a body gets in, once and lately; nobody else, whatever they change."""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from engine.ports.body_signatures import BodySignature, HmacConfig, SignedDoor
from engine.ports.credentials import Credentials, SenderConfig
from engine.ports.source import Sender
from tests.contracts.source_case import NOW
from tests.services.signed_bodies import signed_by

BODY = b'{"alerts":[]}'
FORGERIES = 1_000


def config(*secrets: str, **given: Any) -> HmacConfig:
    return HmacConfig(secrets=tuple(map(SecretStr, secrets)), header="X-Signature", **given)


def outcome(
    checked: HmacConfig, headers: Mapping[str, str], body: bytes = BODY, *, after_s: float = 0
) -> str:
    now = NOW + timedelta(seconds=after_s)
    return BodySignature(checked).admit(Sender(headers), body, now).outcome


def test_the_body_alone_is_signed_without_a_time() -> None:
    headers, _ = signed_by("a", header="x-signature")(BODY)
    assert outcome(config("a"), headers, after_s=1e6) == "admitted"
    assert outcome(config("b"), headers) == "denied"
    assert outcome(config("a"), headers, BODY + b" ") == "denied"


def test_either_of_two_secrets_will_do() -> None:
    for secret in ("old", "new"):
        headers, _ = signed_by(secret, header="x-signature")(BODY)
        assert outcome(config("old", "new"), headers) == "admitted"


def test_a_known_signature_is_recomputed() -> None:
    """RFC 4231, test case 2: https://www.rfc-editor.org/rfc/rfc4231#section-4.3"""
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    headers = {"x-signature": known}
    assert outcome(config("Jefe"), headers, b"what do ya want for nothing?") == "admitted"


def test_a_prefix_belongs_to_the_signature() -> None:
    headers, _ = signed_by("a", header="x-signature", prefix="sha256=")(BODY)
    assert outcome(config("a", prefix="sha256="), headers) == "admitted"
    assert outcome(config("a"), headers) == "denied"
    bare, _ = signed_by("a", header="x-signature")(BODY)
    assert outcome(config("a", prefix="sha256="), bare) == "denied"


@pytest.mark.parametrize(
    ("after_s", "expected"),
    [
        (1, "admitted"),
        (240, "admitted"),
        (300, "admitted"),
        (360, "denied"),
        (3600, "denied"),
        (-240, "admitted"),
        (-360, "denied"),
    ],
)
def test_a_copy_gets_in_only_within_the_tolerance(after_s: float, expected: str) -> None:
    timed = config("a", timestamp_header="X-Time")
    headers, _ = signed_by("a", header="x-signature", timestamp_header="x-time")(BODY)
    assert outcome(timed, headers, after_s=after_s) == expected


@pytest.mark.parametrize(("after_s", "where"), [(360, "behind"), (-360, "ahead of")])
def test_the_log_is_told_whose_clock_differs_and_by_how_much(after_s: float, where: str) -> None:
    timed = config("a", timestamp_header="X-Time")
    headers, _ = signed_by("a", header="x-signature", timestamp_header="x-time")(BODY)
    now = NOW + timedelta(seconds=after_s)
    assert BodySignature(timed).admit(Sender(headers), BODY, now).why == (
        f"X-Time is 360 s {where} this machine's clock, more than the 300 s of `tolerance_s`"
    )


@pytest.mark.parametrize("told", ["", "x", "-1", "1e9", "1" * 13, "١٢٣", "1772366400.0", " 1"])
def test_what_is_no_time_is_refused(told: str) -> None:
    timed = config("a", timestamp_header="X-Time")
    headers, _ = signed_by("a", header="x-signature", timestamp_header="x-time")(BODY)
    assert outcome(timed, {**headers, "x-time": told}) == "denied"


def test_a_signature_without_its_time_is_refused() -> None:
    timed = config("a", timestamp_header="X-Time")
    headers, _ = signed_by("a", header="x-signature")(BODY)
    assert outcome(timed, headers) == "denied"


@pytest.mark.parametrize("part", ["x-signature", "x-time", "body"])
def test_no_forgery_of_one_bit_gets_in(part: str) -> None:
    draw = random.Random(1)
    timed = config("a", timestamp_header="X-Time", prefix="v1=")
    headers, _ = signed_by("a", header="x-signature", prefix="v1=", timestamp_header="x-time")(BODY)
    for _ in range(FORGERIES):
        true = BODY if part == "body" else headers[part].encode()
        at = draw.randrange(len(true) * 8)
        forged = bytearray(true)
        forged[at // 8] ^= 1 << at % 8
        if part == "body":
            assert outcome(timed, headers, bytes(forged)) == "denied", at
        else:
            changed = {**headers, part: forged.decode("latin-1")}
            assert outcome(timed, changed) == "denied", at


@pytest.mark.parametrize(
    "wrong",
    [
        {"secrets": []},
        {"secrets": [""]},
        {"header": "X Signature"},
        {"header": ""},
        {"timestamp_header": ""},
        {"tolerance_s": 0},
        {"tolerance_s": 1e9},
        {"algorithm": "md5"},
    ],
    ids=str,
)
def test_a_configuration_that_would_let_everybody_in_or_nobody_is_refused(
    wrong: Mapping[str, Any],
) -> None:
    sound = {"secrets": ["a"], "header": "X-Signature"}
    HmacConfig.model_validate(sound)
    with pytest.raises(ValidationError):
        HmacConfig.model_validate({**sound, **wrong})


def test_a_door_opens_to_credentials_or_to_a_signature() -> None:
    named = {"a-team": SenderConfig(bearer=(SecretStr("t"),))}
    door = SignedDoor(Credentials(senders=named), config("s"))
    admitted = door.admit(Sender({"authorization": "Bearer t"}))
    assert (admitted.outcome, admitted.sender) == ("admitted", "a-team")
    signed, _ = signed_by("s", header="x-signature")(BODY)
    both = Sender({**signed, "authorization": "Bearer wrong"})
    assert door.admit(both).outcome == "by_body"
    assert door.admit_body(both, BODY, NOW).outcome == "admitted"
    assert door.admit(Sender({"authorization": "Bearer wrong"})).outcome == "denied"


def test_a_door_without_a_signature_never_asks_for_the_body() -> None:
    door = SignedDoor(Credentials(), None)
    signed, _ = signed_by("s", header="x-signature")(BODY)
    assert not door
    assert door.admit(Sender(signed)).outcome == "denied"
    assert door.admit_body(Sender(signed), BODY, NOW).outcome == "denied"
    assert SignedDoor(Credentials(), config("s"))
