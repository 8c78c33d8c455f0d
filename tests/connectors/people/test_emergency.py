"""The emergency address over real HTTP and TLS: what arrives, what is known, what stays secret."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.people.emergency import EmergencyConfig, EmergencyWebhook
from engine.core.egress import EgressConfig
from engine.errors import ConfigError, OutcomeUnknownError, PermanentError, TransientError
from engine.settings import load_settings
from tests.services.certificates import Authority
from tests.services.process import free_port

SECRET = "T0/B0/s3cr3t"
HERE = EgressConfig(allow=("127.0.0.1",))
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """Keeps what arrives; `answer` may be replaced."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.requests: list[web.Request] = []
        self.answer: Answer = saying(200)
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.json())
        return await self.answer(request)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}/services/{SECRET}"


def saying(status: int, text: str = "") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return answer


async def hanging(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cutting(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def serve(receiver: Receiver, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    receiver.port = runner.addresses[0][1]
    return runner


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = await serve(receiver)
    yield receiver
    await runner.cleanup()


def address(url: str, egress: EgressConfig = HERE, **more: Any) -> EmergencyWebhook:
    return EmergencyWebhook(EmergencyConfig.model_validate({"url": url, **more}), egress)


async def test_the_text_arrives_with_the_headers(receiver: Receiver) -> None:
    webhook = address(receiver.url(), headers={"Authorization": "Bearer x"})
    await webhook.tell("the store can't be written: größe")
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", f"/services/{SECRET}")
    assert receiver.bodies == [{"text": "the store can't be written: größe"}]
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (saying(404, "no_service"), PermanentError, r"answered 404 \(no_service\)"),
        (saying(302), PermanentError, "answered 302"),
        (saying(429), TransientError, "answered 429"),
        (saying(503, "<html>\n\x07"), TransientError, "answered 503$"),
        (cutting, OutcomeUnknownError, "it may have been delivered"),
    ],
    ids=["gone", "redirect", "too-many", "server", "cut"],
)
async def test_what_became_of_it_is_told_and_the_url_is_not(
    receiver: Receiver, answer: Answer, kind: type[Exception], said: str
) -> None:
    receiver.answer = answer
    with pytest.raises(kind, match=said) as caught:
        await address(receiver.url()).tell("help")
    assert "the emergency address at 127.0.0.1" in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_an_answer_that_does_not_come_is_unknown_and_nobody_there_is_not(
    receiver: Receiver,
) -> None:
    receiver.answer = hanging
    with pytest.raises(OutcomeUnknownError, match="no answer within 1 s"):
        await address(receiver.url(), timeout_s=1).tell("help")
    with pytest.raises(TransientError, match="ConnectError"):
        await address(f"http://127.0.0.1:{free_port()}/").tell("help")


async def test_an_address_that_reaches_this_machine_must_stand_in_egress(
    receiver: Receiver,
) -> None:
    with pytest.raises(PermanentError, match=r"egress\.allow must name the address itself"):
        await address(receiver.url(host="localhost"), EgressConfig()).tell("help")
    assert receiver.bodies == []


async def test_tls_is_checked_against_the_own_authority_and_the_host_s_name(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "ca")
    issued = authority.issue("receiver", ["localhost"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(issued.certificate, issued.key)
    receiver = Receiver()
    runner = await serve(receiver, tls)
    try:
        url = receiver.url("https", "localhost")
        webhook = address(url, ca=authority.certificate)
        await webhook.tell("help")
        assert receiver.bodies == [{"text": "help"}]
        with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
            await address(url).tell("help")
        with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
            other = receiver.url("https", "127.0.0.1")
            await address(other, ca=authority.certificate).tell("help")
    finally:
        await runner.cleanup()
    assert len(receiver.bodies) == 1


def test_an_authority_that_cannot_be_read_is_found_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"emergency\.ca"):
        address("https://hooks.example/x", ca=tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{url: 'ftp://hooks.example/SECRET'}", "needs an https URL"),
        ("{url: 'https:///SECRET'}", "needs an https URL"),
        ("{url: 'https://hooks.example:0/SECRET'}", "needs an https URL"),
        ("{url: 'http://hooks.example/SECRET'}", "plain http only goes to a relay"),
        ("{url: 'https://user:SECRET@hooks.example/'}", "put it into a header"),
        ("{url: 'https://h.example/', headers: {Host: SECRET}}", "set by quell itself"),
        ("{url: 'https://h.example/', headers: {'a b': SECRET}}", "no header's name"),
        ('{url: "https://h.example/", headers: {A: "SECRET\\n"}}', "printable ASCII"),
        ("{url: 'https://h.example/', ca: gone.pem}", "names a file that isn't there"),
        ("{headers: {A: b}}", "url"),
        ("{url: 'https://h.example/', channel: SECRET}", "channel"),
    ],
)
def test_a_mistake_is_told_in_its_place_without_the_secret(
    tmp_path: Path, written: str, said: str
) -> None:
    file = tmp_path / "quell.yaml"
    file.write_text(f"emergency: {written}\n")
    loaded = load_settings(file, {})
    with pytest.raises(ConfigError, match=said) as caught:
        loaded.configure(EmergencyConfig, ("emergency",), loaded.settings.emergency)
    assert f"{file}:1:" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_the_authority_s_file_counts_from_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    (tmp_path / "quell.yaml").write_text("emergency: {url: 'https://h.example/', ca: ca.pem}\n")
    loaded = load_settings(tmp_path / "quell.yaml", {})
    config = loaded.configure(EmergencyConfig, ("emergency",), loaded.settings.emergency)
    assert config.ca == tmp_path / "ca.pem"
