"""Tokens, whose certificate a proxy checked, and what is meant for loopback."""

import base64
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from engine.gateway.access import (
    TrustedProxy,
    bearer_token,
    headers_of,
    is_local,
    neighbourhood,
)
from tests.services.certificates import Authority, Certificate

LOCAL = [
    pytest.param({"host": "localhost"}, id="a name"),
    pytest.param({"host": "LOCALHOST:8484"}, id="with a port"),
    pytest.param({"host": "127.0.0.1:8484"}, id="IPv4"),
    pytest.param({"host": "[::1]"}, id="IPv6"),
    pytest.param({"host": "[::1]:8484"}, id="IPv6 with a port"),
    pytest.param({"host": "localhost", "origin": "http://localhost:8484"}, id="its own page"),
]
OTHERS = [
    pytest.param({}, id="no host"),
    pytest.param({"host": ""}, id="an empty host"),
    pytest.param({"host": "quell.example"}, id="another name"),
    pytest.param({"host": "localhost.evil.example"}, id="a name that begins well"),
    pytest.param({"host": "evil.example:127"}, id="another name with a port"),
    pytest.param({"host": "localhost:80:80"}, id="two ports"),
    pytest.param({"host": "localhost, evil.example"}, id="two hosts"),
    pytest.param({"host": "127.0.0.2"}, id="another loopback address"),
    pytest.param({"host": "127.0.0.1\n"}, id="a line break"),
    pytest.param({"host": "localhost", "forwarded": "for=203.0.113.9"}, id="Forwarded"),
    pytest.param({"host": "localhost", "x-forwarded-for": "203.0.113.9"}, id="X-Forwarded-For"),
    pytest.param({"host": "localhost", "x-forwarded-host": ""}, id="X-Forwarded-Host, empty"),
    pytest.param({"host": "localhost", "origin": "https://evil.example"}, id="another page"),
    pytest.param({"host": "localhost", "origin": "null"}, id="a page without an origin"),
    pytest.param({"host": "localhost", "origin": "http://[::1"}, id="a broken origin"),
]


@pytest.mark.parametrize("headers", LOCAL)
def test_what_is_meant_for_this_machine_is_local(headers: dict[str, str]) -> None:
    assert is_local(headers)


@pytest.mark.parametrize("headers", OTHERS)
def test_what_came_by_another_name_page_or_proxy_is_not(headers: dict[str, str]) -> None:
    assert not is_local(headers)


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", ""),
        ("abc", ""),
        ("Bearer", ""),
        ("", ""),
    ],
)
def test_a_bearer_token_is_found(authorization: str, token: str) -> None:
    assert bearer_token({"authorization": authorization}) == token


def test_a_header_sent_twice_passes_as_neither() -> None:
    headers = headers_of([(b"Host", b"localhost"), (b"host", b"evil.example"), (b"X-A", b"\xe9")])
    assert headers == {"host": "localhost, evil.example", "x-a": "\xe9"}
    assert not is_local(headers)


PROXY = TrustedProxy("x-client", (ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("peer", "is_it"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("11.0.0.1", False),
        ("::1", False),
        ("", False),
        ("unix", False),
    ],
)
def test_only_the_proxy_s_own_addresses_are_believed(peer: str, is_it: bool) -> None:
    assert PROXY.is_at(peer) is is_it


def as_der(certificate: Certificate) -> str:
    raw = x509.load_pem_x509_certificate(certificate.certificate.read_bytes())
    return f":{base64.b64encode(raw.public_bytes(Encoding.DER)).decode()}:"


def test_a_proxy_tells_a_name_a_subject_or_a_certificate(tmp_path: Path) -> None:
    certificate = Authority(tmp_path).issue("am", ["am.fra.example", "am.muc.example"])
    names = ("am", "am.fra.example", "am.muc.example")
    told = {
        "am.fra.example": ("am.fra.example",),
        "spiffe://x/am": ("spiffe://x/am",),
        "CN=am,O=Example": ("CN=am,O=Example", "am"),
        r"CN=am\,CN\=root,O=Example": (r"CN=am\,CN\=root,O=Example", "am,CN=root"),
        quote(certificate.certificate.read_text()): names,
        as_der(certificate): names,
        "-----BEGIN%20CERTIFICATE-----": (),
        ":AAAA:": (),
        ":no base64:": (),
        "": (),
        " ": (),
    }
    for value, expected in told.items():
        assert PROXY.names([(b"X-Client", value.encode())]) == expected, value


def test_a_header_that_is_there_twice_tells_nothing() -> None:
    """A proxy that adds its own passes the client's own on: one of them is a lie."""
    twice = [(b"x-client", b"CN=am"), (b"X-Client", b"CN=root")]
    assert PROXY.names(twice) == ()
    assert PROXY.names([(b"host", b"x")]) == ()


@pytest.mark.parametrize(
    ("peer", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_one_caller_has_of_addresses_counts_as_one(peer: str, counts_as: str) -> None:
    assert neighbourhood(peer) == counts_as
