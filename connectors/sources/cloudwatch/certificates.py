"""The certificates with which SNS signs: from where they may come, and whom they are made out to.

The address is part of a message that nobody has checked yet, so it has to be the one address that
SNS in the topic's region has, to the letter, before anything is fetched.
"""

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from connectors.sources.cloudwatch.arns import Topic
from engine.errors import TransientError
from engine.ports.http_reads import read

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate

FETCH_WITHIN_S = 5.0
MAX_BYTES = 32 * 1024
# Each region has one certificate at a time.
MAX_KEPT = 32
# One that was withdrew is noticed after a day.
KEPT_FOR = timedelta(hours=24)
# Who knows a topic's name can name any certificate; true ones change about once a year.
FETCHES = 10
FETCHES_WITHIN = timedelta(minutes=1)
# A leaf and its issuers up to, but without, the root.
MAX_CHAIN = 4

_PATH = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
# Where Amazon's authorities publish the certificates of those that issue for them.
_ISSUER = re.compile(
    r"http://[a-z0-9-]+(\.[a-z0-9-]+)*\.amazontrust\.com/[A-Za-z0-9_-]+\.(cer|crt)"
)


class WrongCertificateError(Exception):
    """Why a certificate, or its address, proves nothing."""


class Fetch(Protocol):
    """Reads an address: see engine.ports.http_reads.read."""

    def __call__(self, url: str, *, timeout_s: float, max_bytes: int) -> Awaitable[bytes]:
        """The body. Raises TransientError."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    key: "RSAPublicKey"
    not_before: datetime
    not_after: datetime
    fetched_at: datetime

    def good(self, now: datetime) -> bool:
        return self.not_before <= now < min(self.not_after, self.fetched_at + KEPT_FOR)


@dataclass(slots=True, weakref_slot=True)
class _Budget:
    """So many fetches a minute, whoever asks."""

    at: deque[datetime] = field(default_factory=lambda: deque(maxlen=FETCHES))

    def spend(self, now: datetime) -> None:
        """Raises TransientError."""
        if len(self.at) == FETCHES and now - self.at[0] < FETCHES_WITHIN:
            raise TransientError(f"more than {FETCHES} certificates were asked for in a minute")
        self.at.append(now)


@dataclass
class Certificates:
    """Fetched when needed, checked, and kept by address.

    `roots` are the authorities that are trusted, the system's (certifi's) where none are named;
    `mirror` is an address to fetch from instead of the one in the message, by the same path.
    """

    roots: Path | None = None
    mirror: str | None = None
    fetch: Fetch = read
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _budget: _Budget = field(default_factory=_Budget)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self, url: str, topic: Topic, now: datetime) -> "RSAPublicKey":
        """The public key of the certificate at this address.

        Raises WrongCertificateError for an address that isn't SNS's in the topic's region and for
        a certificate that isn't SNS's; TransientError where it can't be fetched now.
        """
        require_address(url, topic)
        # Those that are kept wait for nobody: whoever names a wrong one would hold up the rest.
        if (kept := self._good(url, now)) is not None:
            return kept.key
        async with self._fetching:
            kept = self._good(url, now) or await self._fetched(url, topic, now)
            self._kept[url] = kept
            self._kept.move_to_end(url)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            return kept.key

    def _good(self, url: str, now: datetime) -> _Kept | None:
        kept = self._kept.get(url)
        return kept if kept is not None and kept.good(now) else None

    async def _fetched(self, url: str, topic: Topic, now: datetime) -> _Kept:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        chain = _pem_certificates(await self._read(url, now))
        if not chain:
            raise WrongCertificateError(f"there is no certificate at {url}")
        leaf = chain[0]
        if not (leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc):
            raise WrongCertificateError(
                f"the certificate at {url} is valid from {leaf.not_valid_before_utc.isoformat()} "
                f"to {leaf.not_valid_after_utc.isoformat()}"
            )
        await self._require_chain(chain, names_of(topic), now)
        key = leaf.public_key()
        if not isinstance(key, RSAPublicKey):
            raise WrongCertificateError(f"the certificate at {url} has no RSA key")
        return _Kept(key, leaf.not_valid_before_utc, leaf.not_valid_after_utc, now)

    async def _require_chain(
        self, chain: "Sequence[Certificate]", names: Sequence[str], now: datetime
    ) -> None:
        """By the issuers that came along, or else by those that Amazon publishes."""
        issuers = list(chain[1:])
        problem = self._problem(chain[0], issuers, names, now)
        while problem and len(issuers) < MAX_CHAIN:
            url = _issuer_url((issuers or chain)[-1])
            if not url:
                break
            issuers.append(_der_certificate(await self._read(url, now), url))
            problem = self._problem(chain[0], issuers, names, now)
        if problem:
            raise WrongCertificateError(
                f"no trusted authority made it out to {' or '.join(names)}: {problem}"
            )

    def _problem(
        self,
        leaf: "Certificate",
        issuers: "Sequence[Certificate]",
        names: Sequence[str],
        now: datetime,
    ) -> str:
        """Why it doesn't lead to a root under any of the names; "" where it does."""
        from cryptography.x509 import DNSName
        from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

        problem = ""
        policy = PolicyBuilder().store(Store(self._roots)).time(now).max_chain_depth(MAX_CHAIN)
        for name in names:
            try:
                policy.build_server_verifier(DNSName(name)).verify(leaf, list(issuers))
            except VerificationError as error:
                problem = str(error)
            else:
                return ""
        return problem

    @cached_property
    def _roots(self) -> "list[Certificate]":
        if self.roots is not None:
            return _pem_certificates(self.roots.read_bytes())
        import certifi

        return _pem_certificates(Path(certifi.where()).read_bytes())

    async def _read(self, url: str, now: datetime) -> bytes:
        self._budget.spend(now)
        if self.mirror is not None:
            url = self.mirror.rstrip("/") + urlsplit(url).path
        try:
            async with asyncio.timeout(FETCH_WITHIN_S):
                return await self.fetch(url, timeout_s=FETCH_WITHIN_S, max_bytes=MAX_BYTES)
        except TimeoutError:
            raise TransientError(f"{url} didn't answer within {FETCH_WITHIN_S:.0f} s") from None
        except TransientError as error:
            raise TransientError(f"{url}: {error}") from error


def require_address(url: str, topic: Topic) -> None:
    """Raises WrongCertificateError unless it is SNS's in the topic's region, to the letter."""
    host = f"https://sns.{topic.region}.{topic.domain}"
    if not url.startswith(f"{host}/") or not _PATH.fullmatch(url.removeprefix(host)):
        raise WrongCertificateError(
            f"{url!r:.300} isn't {host}/SimpleNotificationService-<32 hex digits>.pem"
        )


def names_of(topic: Topic) -> tuple[str, ...]:
    """Whom SNS's certificates are made out to, which differs by region.

    From the AWS SDK for Java v2, services-custom/sns-message-manager, SnsHostProvider.
    """
    names = [
        f"sns.{topic.domain}",
        f"sns-signing.{topic.region}.{topic.domain}",
        f"sns-{topic.region}.{topic.domain}",
    ]
    if topic.partition == "aws-us-gov":
        names.append(f"sns-us-gov-west-1.{topic.domain}")
    return tuple(names)


def _pem_certificates(text: bytes) -> "list[Certificate]":
    """Those of a PEM file that can be read: some old roots break today's rules."""
    from cryptography.x509 import load_pem_x509_certificate

    return _readable(load_pem_x509_certificate, _PEM.findall(text))


def _readable(
    load: "Callable[[bytes], Certificate]", blocks: Iterable[bytes]
) -> "list[Certificate]":
    import warnings

    found = []
    for block in blocks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found.append(load(block))
        except (ValueError, Warning):
            continue
    return found


def _der_certificate(raw: bytes, url: str) -> "Certificate":
    from cryptography.x509 import load_der_x509_certificate

    found = _readable(load_der_x509_certificate, [raw])
    if not found:
        raise WrongCertificateError(f"there is no certificate at {url}")
    return found[0]


def _issuer_url(certificate: "Certificate") -> str:
    """Where the certificate of its issuer is, "" where it doesn't say so or it isn't Amazon's."""
    from cryptography.x509 import (
        AuthorityInformationAccess,
        ExtensionNotFound,
        UniformResourceIdentifier,
    )
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(AuthorityInformationAccess).value
    except (ExtensionNotFound, ValueError):
        return ""
    for each in access:
        location = each.access_location
        if each.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            location, UniformResourceIdentifier
        ):
            return location.value if _ISSUER.fullmatch(location.value) else ""
    return ""
