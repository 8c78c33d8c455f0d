"""Lets SNS in by the signature of its messages.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html says what is signed.
What isn't (spaces between fields, UnsubscribeURL) is read by nobody.
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from connectors.sources.cloudwatch.arns import Topic
from connectors.sources.cloudwatch.certificates import Certificates, WrongCertificateError
from engine.core.json_value import Json
from engine.errors import PayloadError, TransientError
from engine.ports import strict_json
from engine.ports.payload import instant
from engine.ports.source import ADMITTED, Admission, denied

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"
_CONFIRMED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: _CONFIRMED,
    UNSUBSCRIPTION: _CONFIRMED,
}
OPTIONAL = frozenset({"Subject"})
# SNS gives up after an hour; a day more for who sends a kept message again.
MAX_AGE = timedelta(hours=25)
# Decoding more than this takes over a millisecond; an alarm has some 3 KiB.
INLINE_BYTES = 64 * 1024
# What clocks may differ by.
LEEWAY = timedelta(minutes=1)


class _Wrong(Exception):  # noqa: N818 - caught here; the message is wrong, not we
    """Why a message lets nobody in."""


@dataclass(frozen=True, slots=True)
class SnsSignatures:
    """Which topics' messages get in. SHA-1 (version 1) can be forged by who has the means."""

    topics: Mapping[str, Topic]
    certificates: Certificates
    accept_sha1: bool = False

    async def admit(self, body: bytes, now: datetime) -> Admission:
        """Whether SNS signed it for one of the topics, and not long ago.

        Raises TransientError where the certificate can't be had now, and where only a clock that
        is wrong can explain the time: SNS comes again.
        """
        try:
            # A large one, of whoever sends it, would hold up all others.
            inline = len(body) <= INLINE_BYTES
            message = _message(body) if inline else await asyncio.to_thread(_message, body)
            text = string_to_sign(message)
            topic = self.topics.get(_text(message, "TopicArn"))
            if topic is None:
                raise _Wrong(f"the topic {message.get('TopicArn')!r:.300} is none of `topics`")
            sent_at = _sent_at(message)
            if now - sent_at > MAX_AGE:
                raise _Wrong(f"it was sent at {sent_at.isoformat()}, over 25 h ago")
            algorithm = self._algorithm(message)
            signature = _signature(message)
            key = await self.certificates.key(_text(message, "SigningCertURL"), topic, now)
        except (_Wrong, WrongCertificateError) as wrong:
            return denied(str(wrong))
        if not _is_signed(key, signature, text, algorithm):
            return denied("its signature is wrong")
        if sent_at - now > LEEWAY:
            raise TransientError(
                f"SNS signed a message of {sent_at.isoformat()}, which is to come: set this "
                "machine's clock"
            )
        return ADMITTED

    def _algorithm(self, message: Mapping[str, Json]) -> "HashAlgorithm":
        from cryptography.hazmat.primitives import hashes

        match message.get("SignatureVersion"):
            case "2":
                return hashes.SHA256()
            case "1" if self.accept_sha1:
                return hashes.SHA1()
            case "1":
                raise _Wrong(
                    "it is signed with SHA-1; set the topic's SignatureVersion to 2, or accept_sha1"
                )
            case other:
                raise _Wrong(f"the signature's version is {other!r:.40}")


def string_to_sign(message: Mapping[str, Json]) -> bytes:
    """The bytes that SNS signs: each field's name and value, a line each, in order of the names."""
    kind = message.get("Type")
    fields = SIGNED.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise _Wrong("it is no message of SNS; with raw delivery nothing is signed")
    lines = []
    for name in fields:
        if name not in OPTIONAL or message.get(name) is not None:
            lines += [name, _text(message, name)]
    try:
        return "".join(f"{line}\n" for line in lines).encode()
    except UnicodeEncodeError as error:
        raise _Wrong("it has half a surrogate pair") from error


def _message(body: bytes) -> Mapping[str, Json]:
    # As the gateway reads it later: another reading could find other fields than were signed.
    try:
        value = strict_json.decode(body)
    except PayloadError as error:
        raise _Wrong(f"it is no JSON: {error.problem}") from error
    if not isinstance(value, dict):
        raise _Wrong("it is no JSON object")
    return value


def _text(message: Mapping[str, Json], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise _Wrong(f"it has no {name}")
    return value


def _signature(message: Mapping[str, Json]) -> bytes:
    text = _text(message, "Signature")
    try:
        signature = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _Wrong("its signature is no base64") from error
    # Bytes have one spelling (RFC 4648, section 3.5), so that no other gets in.
    if base64.b64encode(signature).decode() != text:
        raise _Wrong("its signature can be spelled otherwise")
    return signature


def _sent_at(message: Mapping[str, Json]) -> datetime:
    try:
        at = instant(_text(message, "Timestamp"))
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise _Wrong("its Timestamp is no time")
    return at


def _is_signed(key: object, signature: bytes, text: bytes, algorithm: "HashAlgorithm") -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    assert isinstance(key, rsa.RSAPublicKey)  # what Certificates gives
    try:
        key.verify(signature, text, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True
