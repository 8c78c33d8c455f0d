"""What every source's notices come to: in any order, repeated at any time, and however broken."""

import gzip
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from engine.core.alert import AlertStatus, Occurrence, receive
from engine.core.incident import Incident
from engine.errors import PayloadError
from engine.gateway.app import build_gateway
from engine.gateway.parts import GatewayParts
from engine.ports.source import Source
from tests.contracts.source_case import NOW, Case
from tests.contracts.test_source import each_case
from tests.doubles.gateway import MemoryIntake, gateway_parts
from tests.doubles.world import World

ORDERS = 1_000
KINDS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**63, 1.5, -1e308),
    *("", "x", "é", "\0\ud800", [], ["x"], [{}], {}, {"x": None}, {"": ""}),
)
FIRST = "/v1/alerts/first"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each container and leaf, also those of JSON that is a text in it."""
    yield path
    inner = inside(value)
    if isinstance(inner, dict):
        for key, each in inner.items():
            yield from places(each, (*path, key))
    elif isinstance(inner, list):
        for index, each in enumerate(inner):
            yield from places(each, (*path, index))


def inside(value: Any) -> Any:
    """What a text holds that is JSON itself, else the value."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def value_at(value: Any, path: tuple[Any, ...]) -> Any:
    """What is at a place."""
    for key in path:
        value = inside(value)[key]
    return value


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at this place."""
    if not path:
        return new
    inner = inside(value)
    copy = dict(inner) if isinstance(inner, dict) else list(inner)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return json.dumps(copy) if isinstance(value, str) else copy


def test_a_change_is_made_at_its_place_also_within_a_text() -> None:
    body = {"a": [1, {"b": 2}], "text": '{"c": [3]}'}
    assert ("text", "c", 0) in list(places(body))
    assert changed(body, ("a", 1, "b"), "x") == {"a": [1, {"b": "x"}], "text": '{"c": [3]}'}
    assert changed(body, ("text", "c", 0), "x") == {**body, "text": '{"c": ["x"]}'}


@each_case
def test_an_unknown_field_anywhere_loses_nothing(case: Case) -> None:
    """Where names are free it is one more label, and else it is nothing."""
    source = case.make("first")
    known = source.parse(case.body, NOW).alerts
    for path in places(case.body):
        there = value_at(case.body, path)
        if isinstance(inside(there), dict):
            more = {**inside(there), "x-unknown": "y"}
            body = changed(case.body, path, json.dumps(more) if isinstance(there, str) else more)
            parsed = source.parse(body, NOW)
            assert list(parsed.rejected) == [], path
            assert len(parsed.alerts) == case.count, path
            for alert, before in zip(parsed.alerts, known, strict=True):
                assert (alert.name, alert.status) == (before.name, before.status), path
                assert before.labels.items() <= alert.labels.items(), path


@each_case
def test_a_wrong_type_anywhere_is_rejected_or_understood(case: Case) -> None:
    source = case.make("first")
    for path in places(case.body):
        for kind in KINDS:
            try:
                parsed = source.parse(changed(case.body, path, kind), NOW)
            except PayloadError as error:
                assert error.problem
                continue
            for rejected in parsed.rejected:
                assert rejected.problem
                json.dumps([rejected.field, rejected.problem], ensure_ascii=False).encode()
            for alert in parsed.alerts:
                texts = [alert.name, dict(alert.labels), dict(alert.annotations), alert.links]
                json.dumps(texts, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Door:
    """The gateway, for one source named `first`, and what it kept."""

    http: httpx.AsyncClient
    parts: GatewayParts

    @property
    def intake(self) -> MemoryIntake:
        assert isinstance(self.parts.intake, MemoryIntake)
        return self.parts.intake


def parts_of(source: Source, *, loopback: bool) -> GatewayParts:
    return replace(gateway_parts(loopback=loopback), sources={"first": (source,)})


@pytest.fixture
async def door(case: Case) -> AsyncIterator[Door]:
    """Open to anybody, as on loopback: what a body does is the question here."""
    parts = parts_of(case.make("first"), loopback=True)
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8484") as http:
        yield Door(http, parts)


@each_case
async def test_no_body_is_lost_or_a_fault_of_ours(case: Case, door: Door) -> None:
    for path in places(case.body):
        for kind in KINDS:
            body = json.dumps(changed(case.body, path, kind)).encode()
            before = len(door.intake.alerts) + len(door.intake.letters)
            response = await door.http.post(FIRST, content=body)
            assert response.status_code in (200, 400, 422), (path, kind, response.text)
            if response.status_code != 200:
                after = len(door.intake.alerts) + len(door.intake.letters)
                assert after > before, (path, kind)


@each_case
async def test_a_body_past_its_limit_is_refused_whatever_it_is_wrapped_in(
    case: Case, door: Door
) -> None:
    (source,) = door.parts.sources["first"]
    over = json.dumps(case.body).encode() + b" " * source.max_body_bytes
    packed = {"content-encoding": "gzip"}

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(over), 65536):
            yield over[start : start + 65536]

    answers = [
        await door.http.post(FIRST, content=over),
        await door.http.post(FIRST, content=pieces()),
        await door.http.post(FIRST, content=gzip.compress(over, 1), headers=packed),
    ]
    assert [answer.status_code for answer in answers] == [413, 413, 413]
    assert (door.intake.alerts, door.intake.letters) == ([], [])


@dataclass(frozen=True)
class Told:
    """One notice of a story, and when it was received."""

    status: AlertStatus
    event_time: datetime
    received_at: datetime


def a_story(draw: random.Random, statuses: list[AlertStatus]) -> list[Told]:
    """An alert that fires, repeats and ends a few times, received as it happens."""
    at, told = NOW, []
    for _ in range(draw.randint(1, 3)):
        for status in statuses:
            for _ in range(draw.randint(1, 2)):
                at += timedelta(seconds=draw.randint(1, 600))
                told.append(Told(status, at, at + timedelta(milliseconds=50)))
    return told[: draw.randint(1, len(told))]


@each_case
def test_in_any_order_notices_come_to_what_the_newest_says(case: Case) -> None:
    """A source with event times may deliver in any order; another one's notices are ordered by
    when they were received, in whatever order they are folded."""
    make, source, draw = case.notice, case.make("first"), random.Random(5)
    statuses: list[AlertStatus] = ["firing", "resolved"]
    told_by = [each for each in statuses if make(each, NOW, NOW) is not None]
    (sample,) = source.parse(make("firing", NOW, NOW), NOW).alerts
    for number in range(ORDERS):
        story = a_story(draw, told_by)
        newest, last = story[-1], story[-1].received_at
        again = draw.choices(story, k=draw.randint(0, 3))
        if sample.event_at is not None:
            order = draw.sample(story + again, len(story) + len(again))
            order = [
                replace(each, received_at=last + timedelta(seconds=place))
                for place, each in enumerate(order, 1)
            ]
        else:
            order = draw.sample(story + again, len(story) + len(again))
            # A firing notice that comes when all is over, as a queue's last delivery may.
            late = [each for each in story if each.status == "firing"]
            order.append(replace(draw.choice(late), received_at=last + timedelta(hours=1)))
        current: Occurrence | None = None
        for each in order:
            body = make(each.status, each.event_time, each.received_at)
            (alert,) = source.parse(body, each.received_at).alerts
            current = receive(alert, current).occurrence
        assert current is not None
        assert current.is_open == (newest.status == "firing"), (number, order)


@dataclass
class Sent:
    """Posts signed notices of one alert, and decides on them."""

    case: Case
    world: World
    http: httpx.AsyncClient

    async def post(self, body: Any) -> int:
        headers, content = self.case.signed(json.dumps(body).encode())
        response = await self.http.post(FIRST, content=content, headers=dict(headers))
        await self.world.consume()
        return response.status_code

    async def state(self, fingerprint: str) -> tuple[object, ...]:
        """All that a replay may not change."""
        found = await self.world.store.read(lambda tx: tx.occurrences([fingerprint]))
        return tuple(
            (each.id, each.started_at, each.ended_at, each.incident_ids) for each in found.values()
        ), tuple(map(_state, await self.world.incidents()))


def _state(incident: Incident) -> tuple[object, ...]:
    return incident.id, incident.status, incident.occurrences, incident.open_count


@pytest.fixture
async def sent(case: Case, world: World) -> AsyncIterator[Sent]:
    """Over the real pipeline and store, where senders need credentials."""
    parts = parts_of(case.make("first"), loopback=False)
    parts = replace(parts, intake=world.intake, clock=world.clock)
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://quell.example") as http:
        yield Sent(case, world, http)


AFTER_S: Mapping[str, float] = {"1 s": 1, "4 min": 240, "6 min": 360, "1 h": 3600}


each_time = pytest.mark.parametrize("after_s", AFTER_S.values(), ids=AFTER_S)


@each_case
@each_time
async def test_a_replay_of_what_fires_changes_nothing_however_late(
    case: Case, sent: Sent, after_s: float
) -> None:
    """Let in again or, where what lets in has expired, refused."""
    make, clock = case.notice, sent.world.clock
    firing = make("firing", clock.now(), clock.now())
    (alert,) = case.make("first").parse(firing, NOW).alerts
    assert await sent.post(firing) == 200
    opened = await sent.state(alert.fingerprint)
    clock.advance(after_s)
    assert await sent.post(firing) in (200, 401)
    assert await sent.state(alert.fingerprint) == opened


@each_case
@each_time
async def test_a_replay_of_what_has_ended_opens_nothing_however_late(
    case: Case, sent: Sent, after_s: float
) -> None:
    make, clock = case.notice, sent.world.clock
    firing = make("firing", clock.now(), clock.now())
    (alert,) = case.make("first").parse(firing, NOW).alerts
    assert await sent.post(firing) == 200
    opened = await sent.state(alert.fingerprint)
    clock.advance(1)
    resolved = make("resolved", clock.now(), clock.now())
    if resolved is None:
        return
    assert await sent.post(resolved) == 200
    ended = await sent.state(alert.fingerprint)
    assert ended != opened
    clock.advance(after_s)
    for body in (firing, resolved, firing):
        assert await sent.post(body) in (200, 401)
        assert await sent.state(alert.fingerprint) == ended
