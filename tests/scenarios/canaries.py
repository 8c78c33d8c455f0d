"""Secrets that can be found wherever they leak, and whatever lets them leak.

The search knows nothing of the product's own masker: it looks for a mark in the middle of each
secret, which no encoding of a text alters, and for what base64 and hexadecimal make of it.
"""

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from aiohttp import web

# What needs quoting in JSON, URLs, shells, HTML and base64 for URLs.
AROUND = ("/+=\"%&' ", "\\<z>~?")


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret of one setting; `marks` are parts that are in every form of it."""

    setting: str
    value: str
    marks: tuple[str, ...]


def canary(setting: str, *, before: str = "", after: str = "") -> Canary:
    """One with a mark of its own, and with what is awkward around it."""
    digest = hashlib.sha256(setting.encode()).digest()
    mark = base64.b32encode(digest).decode()[:16]
    return Canary(setting, f"{before}{AROUND[0]}{mark}{AROUND[1]}{after}", (mark,))


def key_canary(setting: str, pem: str) -> Canary:
    """A private key: each line of it is a mark, and so is the end of an Ed25519 key's seed."""
    lines = tuple(line for line in pem.splitlines() if not line.startswith("-----"))
    return Canary(setting, pem, tuple(line for line in lines if len(line) >= 24))


def forms(value: str) -> Iterator[str]:
    """How a careless program prints it."""
    encoded = base64.b64encode(value.encode()).decode()
    half = len(value) // 2
    yield f"PASSWORD={value}"
    yield f"{value[:half]}\n{value[half:]}"
    yield encoded
    yield f"{encoded[: len(encoded) // 2]}\n{encoded[len(encoded) // 2 :]}"
    yield f"Authorization: Basic {base64.b64encode(f'quell:{value}'.encode()).decode()}"
    yield base64.urlsafe_b64encode(value.encode()).decode()
    yield f"postgresql://quell:{quote(value, safe='')}@db.example/quell"
    yield f"token={quote_plus(value)}"
    yield json.dumps({"token": value})
    yield json.dumps({"body": json.dumps({"token": value})})
    yield repr(value)
    yield f"+ login --password {shlex.quote(value)}"
    yield value.encode().hex()


def leaks(canaries: Iterable[Canary], sinks: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Which settings' secrets are in which sinks, in any form."""
    found: dict[str, set[str]] = {}
    for name, data in sinks.items():
        unbroken = data.translate(None, b"\r\n").replace(b"\\n", b"")
        for each in canaries:
            if any(_is_in(mark, data) or _is_in(mark, unbroken) for mark in each.marks):
                found.setdefault(name, set()).add(each.setting)
    return found


def _is_in(mark: str, data: bytes) -> bool:
    return any(form in data for form in _traces(mark.encode()))


def _traces(mark: bytes) -> Iterator[bytes]:
    yield mark
    yield mark.hex().encode()
    yield mark.hex().upper().encode()
    for before in range(3):
        # Of four characters for three bytes, those that no neighbour has a part in.
        encoded = base64.b64encode(bytes(before) + mark)
        own = encoded[-(-before * 8 // 6) : (before + len(mark)) * 8 // 6]
        yield from {own, own.replace(b"+", b"-").replace(b"/", b"_")}


@dataclass(frozen=True, slots=True)
class Received:
    """What a request brought."""

    method: str
    authorization: str
    body: str


def careless_service(canaries: Sequence[Canary], received: list[Received]) -> web.Application:
    """Answers to a probe, to Prometheus's and to OpenAI's API that quote what they were sent.

    What came to /echo is kept in `received`, and quoted in every form.
    """

    async def echo(request: web.Request) -> web.Response:
        authorization = request.headers["Authorization"]
        body = await request.text()
        received.append(Received(request.method, authorization, body))
        told = (authorization, authorization.removeprefix("Bearer "), body)
        return web.Response(text="\n".join(form for each in told for form in forms(each)))

    async def status(_: web.Request) -> web.Response:
        shown = "\n".join(form for each in canaries for form in forms(each.value))
        return web.Response(text=shown, status=500)

    async def query(request: web.Request) -> web.Response:
        said = f"no such token: {request.headers.get('Authorization')}"
        return web.json_response({"status": "error", "error": said}, status=401)

    async def complete(request: web.Request) -> web.Response:
        said = f"Incorrect API key provided: {request.headers.get('Authorization')}"
        return web.json_response({"error": {"message": said}}, status=401)

    app = web.Application()
    app.router.add_get("/status", status)
    app.router.add_route("*", "/echo", echo)
    app.router.add_route("*", "/api/v1/query", query)
    app.router.add_post("/v1/chat/completions", complete)
    return app
