"""No forgery gets in: not of what is said, of when it was said, nor of the signature."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from structlog.testing import capture_logs

from engine.gateway.app import build_gateway
from engine.gateway.parts import Limits
from engine.ports.source import Source
from tests.contracts.source_case import Case
from tests.contracts.test_source import each_case
from tests.doubles.gateway import MemoryIntake, gateway_parts

FORGERIES = 1_000
FIRST = "/v1/alerts/first"
# A caller that tries as often as this is told 503 otherwise.
UNBOUNDED = Limits(requests_per_s=1e9, burst=10**9)


@asynccontextmanager
async def shut_door(source: Source) -> AsyncIterator[tuple[httpx.AsyncClient, MemoryIntake]]:
    """The gateway, where a sender needs credentials, and what it kept."""
    parts = replace(gateway_parts(loopback=False), sources={"first": (source,)}, limits=UNBOUNDED)
    assert isinstance(parts.intake, MemoryIntake)
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://quell.example") as http:
        yield http, parts.intake


@dataclass(frozen=True)
class Part:
    """Bytes of a header, or of the body where `header` is "", and how a forgery is refused."""

    header: str
    start: int
    end: int
    refusals: tuple[int, ...] = (401,)


def parts_of(case: Case, headers: Mapping[str, str], body: bytes) -> Mapping[str, Part]:
    """What can be forged: each credential, the three parts of a token, the signed body's fields."""
    found: dict[str, Part] = {}
    for name, value in headers.items():
        pieces, start = value.split("."), 0
        for number, piece in enumerate(pieces):
            found[f"{name} {number}"] = Part(name, start, start + len(piece))
            start += len(piece) + 1
    if case.covers_body:
        # Where the key is can't be told now, if its address is another one.
        found["body"] = Part("", 0, len(body), (401, 503) if case.names_its_key else (401,))
    for name in case.signed_fields:
        field = b'"%s": %s' % (name.encode(), json.dumps(json.loads(body)[name]).encode())
        start = body.index(field)
        found[name] = Part("", start, start + len(field))
    return found


def forged_at(text: bytes, bit: int) -> bytes:
    """The text with this bit turned."""
    found = bytearray(text)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


@each_case
async def test_no_forgery_of_one_bit_gets_in(case: Case) -> None:
    draw = random.Random(1)
    headers, body = case.signed(json.dumps(case.body).encode())
    async with shut_door(case.make("first")) as (http, intake):
        for name, part in parts_of(case, headers, body).items():
            bits = range(part.start * 8, part.end * 8)
            for bit in draw.sample(bits, min(FORGERIES, len(bits))):
                sent, content = on_the_wire(headers), body
                if part.header:
                    header, true = part.header.encode(), headers[part.header].encode()
                    sent[header] = forged_at(true, bit)
                    # A scheme is the same in any case, and so is the space behind it.
                    if _as_read(sent[header]) == _as_read(true):
                        continue
                else:
                    content = forged_at(body, bit)
                answer = await http.post(FIRST, content=content, headers=sent)
                assert answer.status_code in part.refusals, (name, bit)
        assert (intake.alerts, intake.letters) == ([], [])


# Of every header and of every signed field of a body.
ODD: tuple[Any, ...] = (
    *("", " ", "x", "é", "\u00b2", "-1", "1e9", "9" * 5_000, "=" * 5_000, "null", "{}", "Digest x"),
    *("Bearer", "Bearer é.é.é", "Bearer a.b.c", "Bearer ..", "Basic é", "Basic " + "A" * 5_000),
)
ODD_JSON: tuple[Any, ...] = (
    *ODD,
    *(None, True, 0, -1, 2**63, 1.5, [], ["x"], {}, {"": None}, "\0", "\ud800"),
)


@each_case
async def test_nothing_that_a_stranger_sends_is_a_fault_of_ours(case: Case) -> None:
    headers, body = case.signed(json.dumps(case.body).encode())
    sent: list[tuple[Mapping[str, str], bytes]]
    sent = [({**headers, name: odd}, body) for name in headers for odd in ODD]
    if case.covers_body:
        # Also without any of its fields, as an empty object.
        fields: dict[str, Any] = json.loads(body)
        sent += [
            (headers, json.dumps({**fields, name: odd}).encode())
            for name in fields
            for odd in ODD_JSON
            if fields[name] != odd
        ]
        sent += [
            (headers, odd) for odd in (b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b"9" * 5_000)
        ]
    async with shut_door(case.make("first")) as (http, intake):
        for told, content in sent:
            answer = await http.post(FIRST, content=content, headers=on_the_wire(told))
            assert answer.status_code == 401, (told, content[:500])
    assert (intake.alerts, intake.letters) == ([], [])


@each_case
async def test_who_is_refused_is_not_told_why_and_the_log_is(case: Case) -> None:
    with capture_logs() as logs:
        async with shut_door(case.make("first")) as (http, _):
            answer = await http.post(FIRST, content=json.dumps(case.body))
    assert (answer.status_code, answer.json()["detail"]) == (
        401,
        "These credentials give no access here.",
    )
    [denied] = logs
    assert denied["event"] == "intake_denied"
    assert denied["why"]
    assert denied["why"] not in answer.text


def on_the_wire(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Whatever is in them."""
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}


def _as_read(value: bytes) -> tuple[bytes, bytes]:
    scheme, _, rest = value.partition(b" ")
    return scheme.lower(), rest.strip()
