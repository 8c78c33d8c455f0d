"""Bodies that their sender signed: HMAC-SHA256 with a shared secret, as many webhooks do."""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from pydantic import Field
from typing_extensions import override

from engine.ports.credentials import Credentials, CredentialsConfig, Secret, Section
from engine.ports.source import ADMITTED, BY_BODY, Admission, Sender, Source, denied

_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
# Unix seconds have ten digits until the year 2286.
_MAX_DIGITS = 12


class HmacConfig(Section):
    """A signature in `header`: `prefix` and the hex digest of the body as it is sent.

    With a `timestamp_header` (Unix seconds) what is signed is the time, `separator` and the body,
    and a time further off than `tolerance_s` is refused: a copy that somebody sends later stays
    out. Any of the `secrets` will do, so that one can be replaced while both are in use.
    """

    secrets: tuple[Secret, ...] = Field(min_length=1)
    header: str = Field(pattern=_HEADER)
    prefix: str = Field(default="", max_length=32)
    timestamp_header: str | None = Field(default=None, pattern=_HEADER)
    separator: str = Field(default=":", max_length=8)
    tolerance_s: float = Field(default=300.0, gt=0, le=3600)


class BodySignature:
    """Checks signatures as one configuration says."""

    def __init__(self, config: HmacConfig) -> None:
        self._config = config
        self._keys = [each.get_secret_value().encode() for each in config.secrets]

    def is_offered(self, sender: Sender) -> bool:
        """Whether there is a signature to check."""
        return bool(sender.headers.get(self._config.header.lower()))

    def admit(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        """Whether the body is signed by one of the secrets, and lately; in constant time."""
        config, signed = self._config, [body]
        if config.timestamp_header is not None:
            told = sender.headers.get(config.timestamp_header.lower(), "")
            if not (told.isascii() and told.isdecimal() and len(told) <= _MAX_DIGITS):
                return denied(f"no Unix seconds in {config.timestamp_header}")
            ahead_s = int(told) - now.timestamp()
            if abs(ahead_s) > config.tolerance_s:
                where = "ahead of" if ahead_s > 0 else "behind"
                return denied(
                    f"{config.timestamp_header} is {abs(ahead_s):.0f} s {where} this machine's "
                    f"clock, more than the {config.tolerance_s:g} s of `tolerance_s`"
                )
            signed = [told.encode(), config.separator.encode(), body]
        offered = sender.headers.get(config.header.lower(), "").encode("latin-1", "replace")
        if _matches(self._keys, signed, config.prefix.encode(), offered):
            return ADMITTED
        return denied(f"the signature in {config.header} is by none of this source's secrets")


class SignedDoor:
    """What lets a sender in whose bodies may be signed: any one of its credentials."""

    def __init__(self, credentials: Credentials, signature: HmacConfig | None) -> None:
        self._credentials = credentials
        self._signature = None if signature is None else BodySignature(signature)

    def __bool__(self) -> bool:
        return bool(self._credentials) or self._signature is not None

    def admit(self, sender: Sender) -> Admission:
        """See Source.admit."""
        found = self._credentials.admit(sender)
        if found.outcome == "denied" and self._signature and self._signature.is_offered(sender):
            return BY_BODY
        return found

    def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        """See Source.admit_body."""
        if self._signature is None:
            return denied("this source takes no signatures")
        return self._signature.admit(sender, body, now)


class GuardedSource(Source):
    """What sources share that let in by their own credentials, and by signatures where set."""

    def __init__(
        self, name: str, config: CredentialsConfig, hmac: HmacConfig | None = None
    ) -> None:
        self._name = name
        self._door = SignedDoor(Credentials.of(config), hmac)

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def has_credentials(self) -> bool:
        return bool(self._door)

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        return self._door.admit(sender)

    @override
    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        return self._door.admit_body(sender, body, now)


def _matches(keys: Iterable[bytes], signed: Iterable[bytes], prefix: bytes, offered: bytes) -> bool:
    # All are compared: the time tells neither which one nor how far.
    found = False
    for key in keys:
        digest = hmac.new(key, digestmod=hashlib.sha256)
        for part in signed:
            digest.update(part)
        found |= hmac.compare_digest(prefix + digest.hexdigest().encode(), offered)
    return found
