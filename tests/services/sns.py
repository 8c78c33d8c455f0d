"""Amazon SNS as its receivers see it: signs messages, publishes certificates, sends and repeats.

What is signed: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html; how
often it comes again: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.
"""

import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from typing_extensions import override

from engine.errors import TransientError

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
CERTIFICATE_ID = "0123456789abcdef" * 2
CERTIFICATE_URL = (
    f"https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{CERTIFICATE_ID}.pem"
)
ISSUER_URL = "http://crt.r2m01.amazontrust.com/r2m01.cer"
# Of all kinds of messages; each has the fields that it has.
SIGNED = (
    *("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
)
PEM = serialization.Encoding.PEM
# Covers the fixed moments of tests, and today for those by the real clock.
VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
VALID_TO = datetime(2046, 1, 1, tzinfo=UTC)


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """One of each name a process: making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def authority(self, name: str, *, path_length: int | None = None) -> "Issued":
        """An authority below this one."""
        return _authority(name, self, path_length)

    def leaf(
        self,
        name: str = "sns.amazonaws.com",
        valid: tuple[datetime, datetime] = (VALID_FROM, VALID_TO),
        issuer_url: str = "",
    ) -> "Issued":
        """A server's certificate, as those of SNS are."""
        key = private_key(f"leaf of {self.certificate.subject.rfc4514_string()}")
        builder = _builder(name, key, self, valid)
        for extension, critical in (
            (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
        ):
            builder = builder.add_extension(extension, critical=critical)
        if issuer_url:
            builder = builder.add_extension(
                x509.AuthorityInformationAccess(
                    [
                        x509.AccessDescription(
                            AuthorityInformationAccessOID.CA_ISSUERS,
                            x509.UniformResourceIdentifier(issuer_url),
                        )
                    ]
                ),
                critical=False,
            )
        return Issued(builder.sign(self.key, hashes.SHA256()), key)


def root(name: str = "test root") -> Issued:
    """An authority that trusts itself."""
    return _authority(name, None, None)


def _authority(name: str, parent: Issued | None, path_length: int | None) -> Issued:
    key = private_key(name)
    signs = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, key, parent, (VALID_FROM, VALID_TO))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(signs, critical=True)
    )
    return Issued(builder.sign(parent.key if parent else key, hashes.SHA256()), key)


def _builder(
    name: str, key: rsa.RSAPrivateKey, parent: Issued | None, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    issuer = parent.certificate.subject if parent else named(name)
    signing = parent.key.public_key() if parent else key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False)
    )


@dataclass(frozen=True)
class Sns:
    """SNS in one region: a root, an issuer, and what it signs with."""

    root: Issued
    issuer: Issued
    leaf: Issued
    topic: str = TOPIC
    version: str = "2"

    @property
    def chain(self) -> bytes:
        """What it publishes at its certificate's address."""
        return self.leaf.pem + self.issuer.pem

    def trusted(self, folder: Path) -> Path:
        """A file with its root alone."""
        path = folder / "roots.pem"
        path.write_bytes(self.root.pem)
        return path

    def notification(self, message: str, at: datetime, **fields: Any) -> dict[str, Any]:
        """Signed; fields that are None are left out."""
        return self.signed(
            {
                "Type": "Notification",
                "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                "TopicArn": self.topic,
                "Subject": 'ALARM: "EndpointErrors" in EU (Frankfurt)',
                "Message": message,
                "Timestamp": stamp(at),
                "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
                **fields,
            }
        )

    def confirmation(
        self,
        at: datetime,
        kind: Literal["SubscriptionConfirmation", "UnsubscribeConfirmation"],
        **fields: Any,
    ) -> dict[str, Any]:
        """Signed."""
        return self.signed(
            {
                "Type": kind,
                "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
                "Token": "2336412f37",
                "TopicArn": self.topic,
                "Message": "You have chosen to subscribe to the topic.",
                "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Token=2336412f37",
                "Timestamp": stamp(at),
                **fields,
            }
        )

    def signed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The message with its signature, version and certificate's address."""
        given = {name: value for name, value in fields.items() if value is not None}
        text = "".join(f"{name}\n{given[name]}\n" for name in SIGNED if name in given)
        algorithm = hashes.SHA1() if self.version == "1" else hashes.SHA256()
        signature = self.leaf.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return {
            "SignatureVersion": self.version,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": CERTIFICATE_URL,
            **given,
        }


def stamp(at: datetime) -> str:
    """As SNS writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@cache
def sns() -> Sns:
    """The one that tests use where they don't need another."""
    top = root()
    issuer = top.authority("test issuer", path_length=0)
    return Sns(top, issuer, issuer.leaf())


@dataclass
class PublishedFiles:
    """What is at which address, every address that was asked for, and within which bounds."""

    files: Mapping[str, bytes]
    asked: list[str] = field(default_factory=list)
    bounds: set[tuple[float, int]] = field(default_factory=set)

    async def __call__(self, url: str, *, timeout_s: float, max_bytes: int) -> bytes:
        self.asked.append(url)
        self.bounds.add((timeout_s, max_bytes))
        if url not in self.files:
            raise TransientError("answered with status 404")
        return self.files[url]


@contextmanager
def published(
    files: Mapping[str, bytes],
    asked: list[str] | None = None,
    moved: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The files by path on a loopback port: its address. `asked` is told of each path."""
    redirects = moved or {}

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.path)
            body = files.get(self.path)
            if self.path in redirects:
                self.send_response(302)
                self.send_header("location", redirects[self.path])
            else:
                self.send_response(404 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        @override
        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Delivery:
    """How SNS sees it: the status of each attempt, 0 where there was no answer."""

    outcome: Literal["delivered", "discarded"]
    statuses: Sequence[int]


@dataclass(frozen=True)
class SnsSender:
    """Delivers by HTTP with SNS's default policy: three retries, 20 s apart, each within 15 s.

    Anything from 200 to 499 ends it: SNS takes a 4xx as taken. `sleep` may be a virtual clock's.
    """

    url: str
    sleep: Callable[[float], Awaitable[None]]
    retries: int = 3
    delay_s: float = 20.0
    within_s: float = 15.0
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, message: Mapping[str, Any]) -> Delivery:
        headers = {
            "x-amz-sns-message-type": message["Type"],
            "x-amz-sns-message-id": message["MessageId"],
            "x-amz-sns-topic-arn": message["TopicArn"],
            "content-type": "text/plain; charset=UTF-8",
            "user-agent": "Amazon Simple Notification Service Agent",
            **self.headers,
        }
        statuses: list[int] = []
        async with httpx.AsyncClient(timeout=self.within_s, trust_env=False) as http:
            for attempt in range(1 + self.retries):
                if attempt:
                    await self.sleep(self.delay_s)
                statuses.append(await self._attempt(http, message, headers))
                if 200 <= statuses[-1] < 500:
                    return Delivery("delivered", statuses)
        return Delivery("discarded", statuses)

    async def _attempt(
        self, http: httpx.AsyncClient, message: Mapping[str, Any], headers: Mapping[str, str]
    ) -> int:
        try:
            # As SNS prints it: a field a line.
            body = json.dumps(message, indent=2).encode()
            answer = await http.post(self.url, content=body, headers=dict(headers))
        except httpx.HTTPError:
            return 0
        return answer.status_code
