"""Tokens, and what is meant for loopback."""

import pytest

from engine.gateway.access import bearer_token, headers_of, is_local

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
