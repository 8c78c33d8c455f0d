import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors.actions.http import ANSWER_LIMIT_BYTES, DECLARATION, HttpRequest
from engine.core.actions import Call, Effect, Estate, Repeat
from engine.core.documents import TargetDocument
from engine.core.egress import EgressConfig
from engine.core.json_value import Json
from engine.errors import OutcomeUnknownError, PermanentError, QuellError, TransientError
from engine.ports.action_with_secrets import ActionWithSecrets
from tests.services.process import free_port

ESTATE = Estate({}, {"hub": TargetDocument(kind="hub", url="http://hub.example/")}, {})
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers by the path's handler and remembers what came."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.answers: dict[str, Answer] = {}
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(request)
        return await self.answers[request.path](request)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


def saying(**answer: Any) -> Answer:
    async def answered(_: web.Request) -> web.StreamResponse:
        return web.Response(**answer)

    return answered


async def hanging(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cutting(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def action(*allow: str) -> HttpRequest:
    return HttpRequest(EgressConfig(allow=allow or ("127.0.0.1",)))


async def sent(request: HttpRequest, timeout_s: float = 10.0, **inputs: Json) -> Mapping[str, Json]:
    prepared = request.prepare({"method": "GET", **inputs}, ESTATE, None)
    return (await request.execute(Call(prepared, "attempt-1", timeout_s))).outputs


async def test_an_answer_comes_back(server: Server) -> None:
    server.answers["/a"] = saying(text='{"ready": [1, 2.5, null]}')
    outputs = dict(await sent(action(), url=server.url("/a?b=c")))
    assert 0 <= float(str(outputs.pop("latency_s"))) < 10
    assert outputs == {
        "status": 200,
        "ok": True,
        "body": '{"ready": [1, 2.5, null]}',
        "json": {"ready": [1, 2.5, None]},
        "truncated": False,
    }
    (request,) = server.seen
    assert request.path_qs == "/a?b=c"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ready", None, id="no JSON"),
        pytest.param("NaN", None, id="NaN"),
        pytest.param("1e999", None, id="infinity"),
        pytest.param("[" * 100_000, None, id="deep"),
        pytest.param('"\\ud800"', None, id="half a character"),
        pytest.param("7", 7, id="a number"),
    ],
)
async def test_only_sound_json_is_read(server: Server, text: str, expected: Json) -> None:
    server.answers["/a"] = saying(text=text)
    assert (await sent(action(), url=server.url("/a")))["json"] == expected


async def test_a_long_answer_is_cut(server: Server) -> None:
    server.answers["/a"] = saying(text="7" * (ANSWER_LIMIT_BYTES + 1))
    outputs = await sent(action(), url=server.url("/a"))
    assert (outputs["truncated"], outputs["json"]) == (True, None)
    assert len(str(outputs["body"])) == ANSWER_LIMIT_BYTES


async def test_a_packed_answer_stays_packed(server: Server) -> None:
    server.answers["/a"] = saying(body=b"\x1f\x8b\0\xff", headers={"content-encoding": "gzip"})
    outputs = await sent(action(), url=server.url("/a"))
    assert outputs["body"] == "\x1f\ufffd\ufffd\ufffd"
    assert server.seen[0].headers["accept-encoding"] == "identity"


async def test_a_change_carries_body_headers_and_key(server: Server) -> None:
    server.answers["/a"] = saying(status=201)
    request = action()
    prepared = request.prepare(
        {
            "method": "POST",
            "url": server.url("/a"),
            "headers": {"X-Team": "inference"},
            "body": {"replicas": 3},
            "idempotency_key": True,
        },
        ESTATE,
        None,
    )
    assert (prepared.effect, prepared.repeat) == (Effect.CHANGE, Repeat.KEYED)
    assert prepared.description == f'POST {server.url("/a")} {{"replicas":3}}'
    result = await request.execute(Call(prepared, "attempt-1", 10.0))
    assert result.succeeded
    (seen,) = server.seen
    assert await seen.json() == {"replicas": 3}
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-team"] == "inference"
    assert seen.headers["idempotency-key"] == "attempt-1"


async def test_a_secret_is_sent_as_it_is_and_the_plan_has_its_name(server: Server) -> None:
    server.answers["/a"] = saying(status=201)
    value = 'say "\\n" & more'
    request = ActionWithSecrets(action(), {"token": SecretStr(value)})
    prepared = request.prepare(
        {
            "method": "POST",
            "url": server.url("/a"),
            "headers": {"Authorization": "Bearer ${secret:token}", "X-Team": "inference"},
            "body": {"token": "${secret:token}"},
        },
        ESTATE,
        None,
    )
    assert prepared.description == (
        f"POST {server.url('/a')} (authorization: Bearer ${{secret:token}}) "
        '{"token":"${secret:token}"}'
    )
    planned = replace(prepared, secrets=("token",))
    assert (await request.execute(Call(planned, "attempt-1", 10.0))).succeeded
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {value}"
    assert await seen.json() == {"token": value}


@pytest.mark.parametrize("value", ["two\nlines", "blank at the end ", "d\u00e9j\u00e0 vu"])
async def test_a_secret_that_no_header_can_hold_is_neither_sent_nor_shown(
    server: Server, value: str
) -> None:
    request = ActionWithSecrets(action(), {"token": SecretStr(value)})
    headers: dict[str, Json] = {"authorization": "${secret:token}"}
    inputs: dict[str, Json] = {"method": "POST", "url": server.url("/a"), "headers": headers}
    planned = replace(request.prepare(inputs, ESTATE, None), secrets=("token",))
    with pytest.raises(PermanentError, match="'authorization'") as told:
        await request.execute(Call(planned, "attempt-1", 10.0))
    assert value not in str(told.value)
    assert repr(value) not in str(told.value)
    assert server.seen == []


async def test_a_redirect_takes_no_header_along(server: Server) -> None:
    server.answers["/a"] = saying(status=307, headers={"location": server.url("/b", "localhost")})
    server.answers["/b"] = saying()
    outputs = await sent(action(), url=server.url("/a"), headers={"authorization": "Bearer x"})
    assert (outputs["status"], outputs["ok"]) == (307, False)
    assert [each.path for each in server.seen] == ["/a"]


@pytest.mark.parametrize(
    ("method", "effect", "repeat"),
    [
        ("GET", Effect.READ, Repeat.HARMLESS),
        ("HEAD", Effect.READ, Repeat.HARMLESS),
        ("POST", Effect.CHANGE, Repeat.NEVER),
        ("PUT", Effect.CHANGE, Repeat.NEVER),
        ("PATCH", Effect.CHANGE, Repeat.NEVER),
        ("DELETE", Effect.CHANGE, Repeat.NEVER),
    ],
)
def test_the_method_says_what_it_does(method: str, effect: Effect, repeat: Repeat) -> None:
    url = "http://hub.example/users/a/server"
    prepared = action("hub.example").prepare({"method": method, "url": url}, ESTATE, None)
    assert (prepared.effect, prepared.repeat) == (effect, repeat)
    assert prepared.targets == ("hub",)  # the target of the inventory on the same origin


@pytest.mark.parametrize(
    ("method", "status", "succeeded"),
    [("GET", 500, True), ("GET", 302, True), ("POST", 204, True), ("POST", 500, False)],
)
async def test_a_status_is_an_answer(
    server: Server,
    method: str,
    status: int,
    succeeded: bool,
) -> None:
    elsewhere = {"location": server.url("/elsewhere")}
    server.answers["/a"] = saying(status=status, headers=elsewhere)
    request = action()
    prepared = request.prepare({"method": method, "url": server.url("/a")}, ESTATE, None)
    result = await request.execute(Call(prepared, "attempt-1", 10.0))
    assert result.succeeded is succeeded
    assert result.outputs["status"] == status
    assert result.outputs["ok"] is (status < 300)
    assert len(server.seen) == 1  # redirects are not followed, nothing is sent twice


@pytest.mark.parametrize(
    ("method", "answer", "error"),
    [
        pytest.param("POST", hanging, OutcomeUnknownError, id="change, no answer"),
        pytest.param("POST", cutting, OutcomeUnknownError, id="change, cut"),
        pytest.param("POST", saying(status=504), OutcomeUnknownError, id="change, a proxy's 504"),
        pytest.param("POST", saying(status=429), TransientError, id="change, 429"),
        pytest.param("GET", hanging, TransientError, id="read, no answer"),
        pytest.param("GET", cutting, TransientError, id="read, cut"),
    ],
)
async def test_a_lost_answer(
    server: Server, method: str, answer: Answer, error: type[QuellError]
) -> None:
    server.answers["/a"] = answer
    with pytest.raises(error):
        await sent(action(), 0.5, url=server.url("/a"), method=method)
    assert len(server.seen) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_is_down_got_nothing(method: str) -> None:
    with pytest.raises(TransientError):
        await sent(action(), url=f"http://127.0.0.1:{free_port()}/", method=method)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_without_tls_is_permanent(server: Server, method: str) -> None:
    with pytest.raises(PermanentError, match="TLS failed"):
        await sent(action(), url=f"https://127.0.0.1:{server.port}/", method=method)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param({"method": "get"}, "'method' is 'get'", id="method"),
        pytest.param({"url": "ftp://hub.example/"}, "'url'", id="scheme"),
        pytest.param({"url": "http:///a"}, "'url'", id="no host"),
        pytest.param({"url": "http://hub.example:0/"}, "'url'", id="port 0"),
        pytest.param({"url": "http://hub.example:99999/"}, "'url'", id="port"),
        pytest.param({"url": "http://hub.example/a b"}, "'url'", id="blank"),
        pytest.param({"url": "http://hub.example/\r\nX: y"}, "'url'", id="line break"),
        pytest.param({"url": "http://hub.example\\@evil.test/"}, "'url'", id="backslash"),
        pytest.param({"url": "http://u:p@hub.example/"}, "user or password", id="credentials"),
        pytest.param({"url": "http://hub.example@evil.test/"}, "user or password", id="userinfo"),
        pytest.param({"url": "http://evil.test/"}, "egress doesn't allow evil.test:80", id="host"),
        pytest.param({"url": "http://169.254.169.254/"}, "egress doesn't allow", id="metadata"),
        pytest.param({"url": "http://hub.example:8080/"}, "hub.example:8080", id="another port"),
        pytest.param({"headers": {"Host": "evil.test"}}, "'Host'", id="Host"),
        pytest.param({"headers": {"a": "b\r\nc: d"}}, "unprintable", id="line break in a header"),
        pytest.param({"headers": {"a b": "c"}}, "'a b'", id="header's name"),
        pytest.param({"body": "x"}, "takes neither", id="a read with a body"),
        pytest.param({"method": "POST", "body": "x" * 70_000}, "longer than", id="body"),
    ],
)
def test_a_request_that_may_not_be_sent(inputs: dict[str, Json], message: str) -> None:
    good: dict[str, Json] = {"method": "GET", "url": "http://hub.example/"}
    with pytest.raises(PermanentError, match=message):
        action("hub.example:80").prepare(good | inputs, ESTATE, None)


# Where a name leads.


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the system's resolver answer with these addresses, one list a question."""

    def start(*answers: list[str]) -> None:
        left = list(answers)

        def getaddrinfo(*_: object, **__: object) -> list[Any]:
            return [
                (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, 0))
                for each in left.pop(0)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return start


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["::1", "127.0.0.1"], ["0.0.0.0"]],
    ids=str,
)
async def test_an_allowed_name_does_not_lead_inside(
    server: Server, resolve: Callable[..., None], addresses: list[str]
) -> None:
    resolve(addresses)
    url = server.url("/a", host="hub.example")
    with pytest.raises(PermanentError, match="this machine, its link or a metadata service"):
        await sent(action("hub.example"), url=url)
    assert not server.seen


async def test_the_checked_address_is_the_one_connected_to(
    server: Server, resolve: Callable[..., None]
) -> None:
    server.answers["/a"] = saying(text="here")
    # The guarded address is passed over; a second question would have no answer.
    resolve(["169.254.169.254", "127.0.0.1"])
    request = action("hub.example", f"127.0.0.1:{server.port}")
    assert (await sent(request, url=server.url("/a", host="hub.example")))["body"] == "here"
    assert server.seen[0].headers["host"] == f"hub.example:{server.port}"


async def test_egress_taken_back_since_the_plan_stops_the_request(server: Server) -> None:
    prepared = action().prepare({"method": "POST", "url": server.url("/a")}, ESTATE, None)
    with pytest.raises(PermanentError, match="egress doesn't allow"):
        await action("hub.example").execute(Call(prepared, "attempt-1", 10.0))
    assert not server.seen


def test_it_needs_no_connection() -> None:
    assert DECLARATION.connection_kind == ""
