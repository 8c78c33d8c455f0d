"""TLS of the listen address: who gets in by a certificate, its renewal, and the same bounds."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.app import connections
from engine.app.connections import names_in
from engine.app.tls import LOOK_EVERY_S, Tls
from engine.client.trust import only, signed_by
from engine.errors import ConfigError
from engine.ports.metrics import Metrics
from engine.settings import TlsSection
from tests.doubles.gateway import MemoryIntake, gateway_parts
from tests.doubles.production_server import DEADLINE_S, connected, serving, whole
from tests.doubles.virtual_time import VirtualClock, until
from tests.services.certificates import Authority, Certificate
from tests.services.process import wait_until

BODY = b'{"alerts": [{"status": "firing", "labels": {"alertname": "A"}}]}'
HOOK = "/v1/alerts/alertmanager"


@dataclass
class Place:
    """The server's files, who signs senders' certificates, and one of those."""

    folder: Path
    authority: Authority
    section: TlsSection
    sender: Certificate

    def install(self, certificate: Certificate) -> None:
        """As a renewal does."""
        shutil.copy(certificate.certificate, self.section.certificate)
        shutil.copy(certificate.key, self.section.key)

    def trust(self, sender: Certificate | None = None) -> ssl.SSLContext:
        """What a client believes, and shows."""
        context = signed_by(self.authority.certificate)
        if sender is not None:
            context.load_cert_chain(sender.certificate, sender.key)
        return context


@pytest.fixture
def place(tmp_path: Path) -> Place:
    authority = Authority(tmp_path / "ca")
    section = TlsSection(
        certificate=tmp_path / "quell.pem",
        key=tmp_path / "quell.key",
        client_ca=authority.certificate,
    )
    place = Place(tmp_path, authority, section, authority.issue("am", ["am.fra.example"]))
    place.install(authority.issue("quell", ["localhost"]))
    return place


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.5)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)


@contextmanager
def secured(place: Place) -> Iterator[tuple[int, MemoryIntake]]:
    """A source that lets in who has the certificate, for other machines, too."""
    config = AlertmanagerConfig.model_validate(
        {"senders": {"fra": {"certificates": ["am.fra.example"]}}}
    )
    intake = MemoryIntake()
    parts = replace(gateway_parts(AlertmanagerSource(config), loopback=False), intake=intake)
    with serving(parts, Tls.of(place.section)) as (port, _):
        yield port, intake


def post(port: int, trust: ssl.SSLContext) -> int:
    with httpx.Client(verify=trust, trust_env=False) as http:
        return http.post(f"https://localhost:{port}{HOOK}", content=BODY).status_code


def test_a_sender_gets_in_by_the_name_in_its_certificate_and_nobody_else(place: Place) -> None:
    other = place.authority.issue("somebody", ["other.example"])
    forged = Authority(place.folder / "forger").issue("am", ["am.fra.example"])
    with secured(place) as (port, intake), capture_logs() as logs:
        assert post(port, place.trust(place.sender)) == 200
        assert post(port, place.trust()) == 401
        assert post(port, place.trust(other)) == 401
        with pytest.raises(httpx.TransportError):
            post(port, place.trust(forged))
        wait_until(lambda: any("tls" in each["event"] for each in logs), "the refusal is told")
    assert len(intake.alerts) == 1
    said = [each["why"] for each in logs if "why" in each]
    assert said[:2] == [
        "no credentials, which is none of this source's credentials",
        "no credentials and a certificate of somebody, other.example, which is none of this "
        "source's credentials",
    ]
    assert "self-signed" in said[2] or "issuer" in said[2] or "signature" in said[2]


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(place: Place) -> None:
    """As TLS 1.3 allows: the client's last word of the handshake and its request in one packet."""
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = place.trust(place.sender).wrap_bio(came, goes, server_hostname="localhost")
    head = f"POST {HOOK} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    request = head.encode() + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    with secured(place) as (port, _), connected(port) as caller:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                caller.sendall(goes.read())
                came.write(caller.recv(65536))
        tls.write(request)
        caller.sendall(goes.read())
        came.write(whole(caller))
        assert tls.read(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half"])
def test_a_handshake_that_does_not_come_is_not_waited_for(
    soon: None, place: Place, sent: bytes
) -> None:
    with secured(place) as (port, _), connected(port) as caller:
        caller.sendall(sent)
        assert whole(caller) == b""


def test_a_request_without_tls_is_refused_and_told(place: Place) -> None:
    with secured(place) as (port, _), connected(port) as caller, capture_logs() as logs:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"200" not in whole(caller)
        wait_until(lambda: bool(logs), "it is told")
    assert (logs[0]["event"], logs[0]["why"]) == ("tls_handshake_failed", "HTTP_REQUEST")


def test_half_a_head_is_not_waited_for_over_tls_either(soon: None, place: Place) -> None:
    with secured(place) as (port, _), connected(port) as caller:
        tls = place.trust().wrap_socket(caller, server_hostname="localhost")
        with closing(tls):
            tls.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert whole(tls).startswith(b"HTTP/1.1 408 ")


def test_callers_that_only_connect_make_room_for_one_that_speaks(soon: None, place: Place) -> None:
    with secured(place) as (port, _), ExitStack() as callers:
        silent = [callers.enter_context(connected(port)) for _ in range(3)]
        wait_until(lambda: post(port, place.trust(place.sender)) == 200, "it is served")
        assert whole(silent[0]) == b""


async def test_a_renewed_certificate_is_used_without_a_restart(place: Place) -> None:
    tls, clock, metrics = Tls.of(place.section), VirtualClock(), Metrics()
    with serving(gateway_parts(), tls) as (port, _), ExitStack() as callers, capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(tls.watch(clock, metrics))
            await until(lambda: clock.sleeping == 1)
            before = callers.enter_context(shaking_hands(place, port))
            new = place.authority.issue("renewed", ["localhost"])
            shutil.copy(new.certificate, place.section.certificate)
            clock.advance(LOOK_EVERY_S)
            await until(lambda: bool(logs))
            assert logs[0]["event"] == "tls_not_renewed"
            assert "isn't the key of this certificate" in logs[0]["why"]
            assert names_of(place, port) == ("quell", "localhost"), "half of it changes nothing"
            place.install(new)
            await until(lambda: clock.sleeping == 1)
            clock.advance(LOOK_EVERY_S)
            await until(lambda: len(logs) == 2)
            assert names_of(place, port) == ("renewed", "localhost")
            before.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert whole(before).startswith(b"HTTP/1.1 200 ")
            watching.cancel()
    name = "quell_tls_certificate_expires_timestamp_seconds"
    assert metrics.registry.get_sample_value(name) == tls.expires_s > 0


@contextmanager
def shaking_hands(place: Place, port: int) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as caller,
        place.trust().wrap_socket(caller, server_hostname="localhost") as tls,
    ):
        yield tls


def names_of(place: Place, port: int) -> tuple[str, ...]:
    with shaking_hands(place, port) as tls:
        return names_in(tls.getpeercert())


def test_a_client_of_this_machine_believes_the_server_with_this_very_certificate(
    place: Place,
) -> None:
    with serving(gateway_parts(), Tls.of(place.section)) as (port, _):
        url = f"https://127.0.0.1:{port}/healthz"
        assert httpx.get(url, verify=only(place.section.certificate)).status_code == 200
        another = place.authority.issue("another", ["localhost"])
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, verify=only(another.certificate))


def encrypted(folder: Path) -> Path:
    path = folder / "encrypted.key"
    key = ec.generate_private_key(ec.SECP256R1())
    pem, locked = serialization.Encoding.PEM, serialization.BestAvailableEncryption(b"s3cret")
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    return path


MISTAKES: list[Any] = [
    ("certificate", lambda folder: folder / "none.pem", "can't be read: No such file"),
    ("certificate", lambda folder: folder / "quell.key", "holds no certificate in PEM"),
    ("key", lambda folder: folder / "quell.pem", "isn't the key of this certificate"),
    ("key", encrypted, "in PEM without a passphrase"),
    ("client_ca", lambda folder: folder / "quell.key", "holds no certificate in PEM"),
    ("client_ca", lambda folder: folder, "can't be read: Is a directory"),
]


@pytest.mark.parametrize(("field", "path", "says"), MISTAKES)
def test_a_file_that_cannot_be_used_is_named(
    place: Place, field: str, path: Any, says: str
) -> None:
    wrong = place.section.model_copy(update={field: path(place.folder)})
    with pytest.raises(ConfigError, match=says) as told:
        Tls.of(wrong)
    assert f"tls.{field}: " in str(told.value)
