"""Whom a signature lets in: SNS, for the configured topics, and nobody else."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.sources.cloudwatch.signatures import LEEWAY, MAX_AGE
from engine.errors import TransientError
from engine.ports.source import Admission, Sender
from tests.connectors.sources.cloudwatch.case import source
from tests.connectors.sources.cloudwatch.payloads import notification
from tests.contracts.source_case import NOW, admission
from tests.services.sns import TOPIC, root, sns

MESSAGE = json.dumps(notification())
# The same keys and root, signing with SHA-1.
SHA1 = replace(sns(), version="1")


async def admitted(message: Any, **settings: Any) -> Admission:
    return await admission(source(**settings), {}, json.dumps(message).encode())


@pytest.mark.parametrize("subject", ["ALARM", "", "zwei\nZeilen", "ü", None])
async def test_sns_gets_in_with_and_without_a_subject(subject: str | None) -> None:
    found = await admitted(sns().notification(MESSAGE, NOW, Subject=subject))
    assert found.outcome == "admitted", found.why


async def test_the_largest_messages_get_in_as_well() -> None:
    message = sns().notification(json.dumps(notification(NewStateReason="x" * 250_000)), NOW)
    assert (await admitted(message)).outcome == "admitted"


async def test_a_subject_that_is_null_is_none() -> None:
    message = sns().notification(MESSAGE, NOW, Subject=None)
    assert (await admitted({**message, "Subject": None})).outcome == "admitted"


async def test_escaped_characters_are_signed_as_what_they_stand_for() -> None:
    message = sns().notification('{"a": "\\u00fc\\n\t\u2028 \U0001f525"}', NOW)
    assert (await admitted(message)).outcome == "admitted"


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
async def test_both_confirmations_are_signed_over_other_fields(kind: Any) -> None:
    message = sns().confirmation(NOW, kind)
    assert (await admitted(message)).outcome == "admitted"
    for name in ("Token", "SubscribeURL", "Message", "MessageId", "Timestamp"):
        assert (await admitted({**message, name: message[name] + "0"})).outcome == "denied", name


async def test_sha1_counts_only_where_it_is_configured() -> None:
    message = SHA1.notification(MESSAGE, NOW)
    found = await admitted(message)
    assert (found.outcome, "accept_sha1" in found.why) == ("denied", True)
    assert (await admitted(message, accept_sha1=True)).outcome == "admitted"
    # Nor does a signature of one version pass for one of the other.
    assert (await admitted({**message, "SignatureVersion": "2"})).outcome == "denied"
    newer = sns().notification(MESSAGE, NOW)
    found = await admitted({**newer, "SignatureVersion": "1"}, accept_sha1=True)
    assert found.outcome == "denied"


def respelled(message: dict[str, Any]) -> dict[str, Any]:
    """The same signature: the last four bits of its last letter stand for nothing."""
    letters, padding = message["Signature"][:-2], message["Signature"][-2:]
    assert (letters[-1] in "AQgw", padding) == (True, "==")
    return {**message, "Signature": f"{letters[:-1]}{chr(ord(letters[-1]) + 1)}{padding}"}


DENIED: dict[str, tuple[Any, str]] = {
    "other-topic": (
        replace(sns(), topic=TOPIC + "-of-others").notification(MESSAGE, NOW),
        "is none of `topics`",
    ),
    "other-account": (
        replace(sns(), topic=TOPIC.replace("1234", "9999")).notification(MESSAGE, NOW),
        "is none of `topics`",
    ),
    "other-key": (
        replace(sns(), leaf=root("other root").leaf()).notification(MESSAGE, NOW),
        "its signature is wrong",
    ),
    "old": (
        sns().notification(MESSAGE, NOW - MAX_AGE - timedelta(seconds=1)),
        "over 25 h ago",
    ),
    "no-signature": (
        sns().notification(MESSAGE, NOW, Signature=""),
        "its signature is wrong",
    ),
    "no-base64": (sns().notification(MESSAGE, NOW, Signature="?"), "no base64"),
    "no-ascii": (sns().notification(MESSAGE, NOW, Signature="é"), "no base64"),
    "other-spelling": (respelled(sns().notification(MESSAGE, NOW)), "can be spelled otherwise"),
    "version-3": (sns().notification(MESSAGE, NOW, SignatureVersion="3"), "version is '3'"),
    "version-number": (sns().notification(MESSAGE, NOW, SignatureVersion=2), "version is 2"),
    "no-time": (sns().notification(MESSAGE, NOW, Timestamp="noon"), "Timestamp is no time"),
    "other-kind": (sns().notification(MESSAGE, NOW, Type="Gossip"), "no message of SNS"),
    "kind-list": (sns().notification(MESSAGE, NOW) | {"Type": []}, "no message of SNS"),
    "raw-alarm": (notification(), "with raw delivery nothing is signed"),
    "subject-added": (
        sns().notification(MESSAGE, NOW, Subject=None) | {"Subject": "x"},
        "its signature is wrong",
    ),
    "no-message": (sns().notification(MESSAGE, NOW) | {"Message": None}, "it has no Message"),
    "half-a-pair": (sns().notification(MESSAGE, NOW) | {"Message": "\ud800"}, "surrogate"),
    "list": ([], "no JSON object"),
}


@pytest.mark.parametrize(("message", "why"), DENIED.values(), ids=DENIED)
async def test_nobody_else_gets_in_and_the_log_says_why(message: Any, why: str) -> None:
    found = await admitted(message)
    assert found.outcome == "denied"
    assert why in found.why


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"a": 1, "a": 2}']
)
async def test_what_is_no_json_gets_nobody_in(body: bytes) -> None:
    assert (await admission(source(), {}, body)).why.startswith("it is no JSON: ")


@pytest.mark.parametrize("name", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"])
async def test_no_signed_field_may_be_changed(name: str) -> None:
    message = sns().notification(MESSAGE, NOW)
    assert (await admitted({**message, name: message[name] + " "})).outcome == "denied"


async def test_the_last_hours_before_25_count() -> None:
    message = sns().notification(MESSAGE, NOW - MAX_AGE)
    assert (await admitted(message)).outcome == "admitted"


async def test_a_time_to_come_is_our_clock_s_fault_so_sns_is_told_to_come_again() -> None:
    assert (await admitted(sns().notification(MESSAGE, NOW + LEEWAY))).outcome == "admitted"
    with pytest.raises(TransientError, match="set this machine's clock"):
        await admitted(sns().notification(MESSAGE, NOW + LEEWAY + timedelta(seconds=1)))
    # Who isn't SNS isn't told to come again.
    forged = sns().notification(MESSAGE, NOW + timedelta(hours=1)) | {"MessageId": "x"}
    assert (await admitted(forged)).outcome == "denied"


@pytest.mark.parametrize("told", ["true", "True"])
async def test_raw_delivery_is_refused_before_its_body_is_read(told: str) -> None:
    found = await source().admit(Sender({"x-amz-sns-rawdelivery": told}), NOW)
    assert (found.outcome, "raw delivery" in found.why) == ("denied", True)


async def test_without_topics_nobody_gets_in() -> None:
    found = await admitted(sns().notification(MESSAGE, NOW), topics=[])
    assert (found.outcome, found.why) == ("denied", "no `topics` are configured")
    assert not source(topics=[]).has_credentials


async def test_a_source_that_only_asks_aws_needs_no_door() -> None:
    asking = source(topics=[], aws=[{"id": "123456789012", "regions": ["eu-central-1"]}])
    assert asking.has_credentials
    found = await asking.admit(Sender(), NOW)
    assert (found.outcome, found.why) == ("denied", "no `topics` are configured")
