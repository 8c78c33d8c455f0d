from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from engine.core.egress import EgressConfig, is_guarded


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        pytest.param("hub.example", "hub.example", 443, True, id="host"),
        pytest.param("Hub.Example.", "hub.example", 80, True, id="spelling"),
        pytest.param("hub.example", "a.hub.example", 443, False, id="no subdomain"),
        pytest.param("hub.example", "hub.example.evil.test", 443, False, id="no prefix"),
        pytest.param("hub.example:8443", "hub.example", 8443, True, id="port"),
        pytest.param("hub.example:8443", "hub.example", 443, False, id="another port"),
        pytest.param("*.hub.example", "a.b.hub.example", 443, True, id="suffix"),
        pytest.param("*.hub.example", "hub.example", 443, False, id="suffix needs a dot"),
        pytest.param("*.hub.example", "evilhub.example", 443, False, id="suffix is whole labels"),
        pytest.param("*.hub.example:80", "a.hub.example", 443, False, id="suffix and port"),
        pytest.param("127.0.0.1:8080", "127.0.0.1", 8080, True, id="IPv4"),
        pytest.param("::1", "::1", 8080, True, id="IPv6"),
        pytest.param("[::1]:8080", "::1", 8080, True, id="IPv6 and port"),
        pytest.param("[::1]:8080", "::1", 80, False, id="IPv6 and another port"),
    ],
)
def test_egress_allows_what_it_names(entry: str, host: str, port: int, allowed: bool) -> None:
    assert EgressConfig(allow=(entry,)).allows(host, port) is allowed


def test_nothing_is_allowed_by_default() -> None:
    assert not EgressConfig().allows("hub.example", 443)


@pytest.mark.parametrize("entry", ["*", "http://a", "a b", "u@a", "a:b", "a:80:80x", "a/b", ""])
def test_an_entry_that_means_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValidationError):
        EgressConfig(allow=(entry,))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:4136:e378:8000:63bf:5601:5601",
    ],
)
def test_a_guarded_address(address: str) -> None:
    assert is_guarded(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "10.0.0.7", "192.168.1.2", "2606:4700::1", "fd12::7", "64:ff9b::5db8:d70e"],
)
def test_an_address_to_connect_to(address: str) -> None:
    assert not is_guarded(ip_address(address))
