"""No answer shows a secret; its length is that of what is sent, and the journal's lines stay."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from engine.gateway.masked_answer import masked
from engine.ports.known_secrets import KNOWN

SECRET = 'tok-en/"1234'


async def asked(response: Response, method: str = "GET") -> httpx.Response:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, masked(send))

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://quell.example") as http:
        return await http.request(method, "/")


@pytest.fixture(autouse=True)
def _told() -> None:
    KNOWN.keep("token", SECRET)


@pytest.mark.parametrize("detail", [SECRET, f"a {SECRET} b {SECRET}", json.dumps(SECRET)])
async def test_an_answer_is_masked_and_stays_json(detail: str) -> None:
    answer = await asked(JSONResponse({"detail": detail}, 503, {"retry-after": "5"}))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "1234" not in answer.text
    assert "[masked" in answer.json()["detail"]


async def test_an_answer_without_a_secret_is_passed_on_as_it_is() -> None:
    answer = await asked(PlainTextResponse("fine", headers={"x-a": "b"}))
    assert (answer.text, answer.headers["content-length"]) == ("fine", "4")
    assert answer.headers["x-a"] == "b"


async def test_bytes_that_are_no_text_come_through() -> None:
    answer = await asked(Response(b"\xff\xfe" + SECRET.encode() + b"\xff"))
    assert answer.content.startswith(b"\xff\xfe[masked")
    assert answer.content.endswith(b"\xff")


async def test_an_empty_answer_has_no_body() -> None:
    answer = await asked(Response(status_code=204))
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_stream_of_the_journal_is_left_alone() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        yield SECRET.encode()

    answer = await asked(StreamingResponse(lines()))
    assert answer.content == b"one\n" + SECRET.encode()
