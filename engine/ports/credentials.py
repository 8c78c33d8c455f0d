"""What lets a sender in: a token, a user with a password, or the name in its certificate."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from engine.ports.source import Admission, Sender, denied

# An empty one, say from a variable that isn't set, would let everybody in.
Secret = Annotated[SecretStr, Field(min_length=1)]

# What may be told of an Authorization header: another first word may be the secret itself.
_SCHEMES = ("Basic", "Bearer", "Digest", "Negotiate", "ApiKey", "Token")

# Of a source or a sender: part of an address, and the value of a metric's label.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Section(BaseModel):
    """Root of a source's settings: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class BasicCredentials(Section):
    """One user of HTTP's Basic authentication."""

    user: str = Field(pattern=r"^[^:]+$")
    password: Secret


class SenderConfig(Section):
    """What a sender may show; any of it lets in, so that one can be replaced while both are used.

    `certificates` are names in a client's certificate: its CN, or a DNS name, URI, e-mail or IP
    address of its subjectAltName.
    """

    bearer: tuple[Secret, ...] = ()
    basic: tuple[BasicCredentials, ...] = ()
    certificates: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class CredentialsConfig(SenderConfig):
    """The credentials of one source; those under `senders` have a name of their own each.

    The log and the metrics tell named senders apart, each has a rate of its own, and one can be
    taken away alone.
    """

    senders: Mapping[Name, SenderConfig] = {}

    @property
    def asks_for_certificates(self) -> bool:
        """Whether a sender may get in by its certificate."""
        return any(each.certificates for each in (self, *self.senders.values()))


class Credentials:
    """The credentials of one source; any of them lets a sender in."""

    def __init__(
        self,
        bearer: Iterable[SecretStr] = (),
        basic: Iterable[BasicCredentials] = (),
        certificates: Iterable[str] = (),
        senders: Mapping[str, SenderConfig] = MappingProxyType({}),
    ) -> None:
        own = SenderConfig(
            bearer=tuple(bearer), basic=tuple(basic), certificates=tuple(certificates)
        )
        named = {"": own, **senders}
        self._accepted = [
            (digest, name) for name, config in named.items() for digest in _digests(config)
        ]
        self._certificates = {
            certificate: name
            for name, config in named.items()
            for certificate in config.certificates
        }

    @classmethod
    def of(cls, config: CredentialsConfig) -> "Credentials":
        """Those of a source's configuration."""
        return cls(config.bearer, config.basic, config.certificates, config.senders)

    def __bool__(self) -> bool:
        return bool(self._accepted or self._certificates)

    def admit(self, sender: Sender) -> Admission:
        """Whether the sender holds one of them, and by which name."""
        authorization = sender.headers.get("authorization", "")
        name = self._holder(authorization)
        if name is None:
            known = (self._certificates.get(each) for each in sender.certificate)
            name = next((each for each in known if each is not None), None)
        if name is not None:
            return Admission("admitted", sender=name)
        shown = offered(authorization)
        if sender.certificate:
            shown += f" and a certificate of {', '.join(sender.certificate)[:200]}"
        return denied(f"{shown}, which is none of this source's credentials")

    def accept(self, authorization: str) -> bool:
        """Whether the header holds one of them; False where none is configured."""
        return self._holder(authorization) is not None

    def _holder(self, authorization: str) -> str | None:
        offered = hashlib.sha256(_credential(authorization)).digest()
        # All are compared, by digests of one length: the time tells neither which one nor how far.
        holder = None
        for accepted, name in self._accepted:
            if hmac.compare_digest(accepted, offered):
                holder = name
        return holder


def _digests(config: SenderConfig) -> Iterable[bytes]:
    for token in config.bearer:
        yield hashlib.sha256(b"bearer " + token.get_secret_value().encode()).digest()
    for each in config.basic:
        pair = f"{each.user}:{each.password.get_secret_value()}"
        yield hashlib.sha256(b"basic " + pair.encode()).digest()


def _credential(authorization: str) -> bytes:
    """`scheme secret` in one spelling: the scheme in lower case, Basic decoded.

    HTTP libraries decode a header as Latin-1, which is undone here.
    """
    scheme, _, secret = authorization.strip().partition(" ")
    raw = secret.strip().encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return b""
        # A pair has one spelling (RFC 4648, section 3.5), so that no other gets in.
        raw = decoded if base64.b64encode(decoded) == raw else b""
    return scheme.lower().encode("latin-1", "replace") + b" " + raw


def offered(authorization: str) -> str:
    """What a sender offered, for the log: the scheme alone, where it is the name of one."""
    scheme, _, secret = authorization.strip().partition(" ")
    if not scheme:
        return "no credentials"
    known = next((each for each in _SCHEMES if each.lower() == scheme.lower()), "")
    if not known:
        return "an Authorization without a known scheme before the secret, such as Bearer"
    return known if secret else f"{known} with nothing behind it"
