"""What a request tells about who sent it: a token, a certificate, whether it came from here."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID
from starlette.types import Scope

# Where the server leaves the names of the client's certificate in the scope, if it checked one.
CERTIFICATE_NAMES = "quell.certificate_names"
MAX_QUERY_FIELDS = 32
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORT = re.compile(r":[0-9]{1,5}\Z")


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; those sent twice are joined, so that neither passes alone."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def query_of(raw: bytes) -> Mapping[str, str]:
    """The query's values by name, the last of each; some senders can put a token nowhere else."""
    if not raw:
        return {}
    try:
        return dict(parse_qsl(raw.decode("latin-1"), max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        return {}


def peer_of(scope: Scope) -> str:
    """The address that the connection came from, "" where that isn't known."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@lru_cache(maxsize=4096)
def neighbourhood(peer: str) -> str:
    """What one caller has of addresses: of IPv6 a whole /64."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A proxy that checks clients' certificates, and tells whose it was in a header.

    `header` is in lower case. From any other address than its own the header is nobody's word.
    """

    header: str
    addresses: tuple[IPv4Network | IPv6Network, ...]

    def is_at(self, peer: str) -> bool:
        """Whether a connection from `peer` is the proxy's."""
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.addresses)

    def names(self, raw: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
        """Of the certificate that the header tells of; none where it is there twice.

        One of two would be the client's own, which the proxy passed on.
        """
        header = self.header.encode()
        said = [value.decode("latin-1") for name, value in raw if name.lower() == header]
        return _names_in(said[0].strip()) if len(said) == 1 else ()


@lru_cache(maxsize=1024)
def _names_in(said: str) -> tuple[str, ...]:
    """What a header says as it is, or the names of the subject or certificate that it holds.

    A subject as in RFC 4514; a certificate as PEM in URL encoding, or as in RFC 9440.
    """
    if not said:
        return ()
    try:
        if said.startswith("-----BEGIN"):
            return names_of(x509.load_pem_x509_certificate(unquote(said).encode()))
        if said.startswith(":") and said.endswith(":"):
            raw = base64.b64decode(said[1:-1], validate=True)
            return names_of(x509.load_der_x509_certificate(raw))
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ):
        return ()
    try:
        return (said, *_common_names(x509.Name.from_rfc4514_string(said)))
    except ValueError:
        return (said,)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its CN, and the DNS names, URIs, e-mail and IP addresses of its subjectAltName."""
    return tuple(dict.fromkeys((*_common_names(certificate.subject), *_alternatives(certificate))))


def _common_names(subject: x509.Name) -> Iterator[str]:
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield str(attribute.value)


def _alternatives(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    for kind in (x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name, x509.IPAddress):
        yield from map(str, extension.value.get_values_for_type(kind))


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of `Authorization: Bearer`, "" when there is none."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_local(headers: Mapping[str, str]) -> bool:
    """Whether a request that came over loopback was meant for it.

    A Host with another name is a page that had its name resolved to this machine (DNS rebinding),
    a forwarding header a proxy that lets others in, and an Origin elsewhere a page of another
    site that makes a person's browser send.
    """
    if any(name == "forwarded" or name.startswith("x-forwarded") for name in headers):
        return False
    if not _is_local_name(headers.get("host", "")):
        return False
    origin = headers.get("origin")
    return origin is None or _is_local_name(_host_of(origin))


def _host_of(origin: str) -> str:
    """`host:port` of an Origin, "" for `null` and for what is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_local_name(host: str) -> bool:
    return _PORT.sub("", host.lower()) in _LOCAL_NAMES
