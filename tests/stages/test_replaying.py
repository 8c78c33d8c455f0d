"""A dead letter is taken in again once, under the time it came, or says why not."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from typing_extensions import override

from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from engine.core import events
from engine.core.alert import Alert
from engine.core.json_value import Json
from engine.core.records import Tick, decode_record, encode_alert, encode_tick
from engine.errors import (
    ConflictError,
    DeniedError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from engine.gateway.keeping import finish_again, parse_again
from engine.ports.commands import Replayed
from engine.ports.rows import DeadLetter
from engine.ports.source import NOBODY, Parsed, Rejected, Sender
from engine.ports.stream import Batch, Record
from engine.stages.replaying import ReplayStage
from tests.doubles.world import ONCALL, STRANGER, World

SOURCE = AlertmanagerSource(AlertmanagerConfig())
GAP = "quell could not read this (KeyError), and kept it"


def a_stage(world: World, *sources: AlertmanagerSource) -> ReplayStage:
    named = {each.name: (each,) for each in sources or (SOURCE,)}
    parse, finish = partial(parse_again, named), partial(finish_again, named, world.clock)
    return ReplayStage(world.store, world.stream, world.intake, parse, finish, world.author)


def an_alert(name: str = "Down", status: str = "firing", **more: Any) -> dict[str, Any]:
    labels = {"alertname": name, "service": "llm"}
    return {"status": status, "labels": labels, "startsAt": "2026-03-01T11:00:00Z", **more}


def a_body(*alerts: Any) -> bytes:
    return json.dumps({"version": "4", "alerts": alerts}).encode()


async def keep(
    world: World, body: bytes, *, index: int = -1, field: str = "", source: str = "alertmanager"
) -> str:
    """A letter with this body, and its id."""
    (letter,) = await world.intake.dead_letter(source, [Rejected(index, field, GAP, body)])
    return letter


async def keep_record(world: World, body: bytes, key: str = "") -> str:
    """A letter with this record of the stream, and its id."""
    at = world.clock.at
    source = f"{world.stream.name}/0/7"
    letter = DeadLetter(f"l{key[:4]}{len(body)}", source, GAP, "", body, at, at, record_key=key)
    await world.store.write(lambda tx: tx.put_dead_letter(letter))
    return letter.id


async def replay(world: World, letter: str, *sources: AlertmanagerSource) -> Replayed:
    return await a_stage(world, *sources).replay_dead_letter(letter, by=ONCALL)


async def journaled(world: World) -> list[events.Event | None]:
    return [each.event() for each in await world.store.read(lambda tx: tx.entries("access"))]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
async def test_a_body_goes_through_its_source_s_parser_and_becomes_an_incident(
    world: World, pack: Any
) -> None:
    letter = await keep(world, pack(a_body(an_alert("FanNoisy"), an_alert("DoorOpen"))))
    received = world.clock.at
    world.clock.advance(3600)
    replayed = await replay(world, letter[:8])
    assert (replayed.accepted, replayed.alerts) == (True, 2)
    assert replayed.sentence == "Taken in as 2 alerts."
    assert replayed.letter.replayed_at == world.clock.at
    ends = await world.stream.end_offsets()
    partition = next(each for each, end in ends.items() if end)
    first, _ = await world.stream.read(partition, 0, 10)
    value = decode_record(first.value)
    assert not isinstance(value, Tick)
    assert value.received_at == received, "so that it never undoes what came after it"
    assert dict(await world.consume()) == {"unmatched": 2}
    (incident,) = await world.incidents()
    assert incident.occurrences == 2


async def test_a_letter_without_its_body_says_where_the_record_is(world: World) -> None:
    at = world.clock.at
    lacking = DeadLetter("lacking", "kafka/a/3/7", "bad", "", b"", at, at, left_out=9)
    await world.store.write(lambda tx: tx.put_dead_letter(lacking))
    with pytest.raises(ConflictError, match="its record is kafka/a/3/7"):
        await replay(world, "lacking")
    assert await world.queries.dead_letter("lacking") == lacking


async def test_a_replay_is_journaled_with_who_did_it_and_done_once(world: World) -> None:
    letter = await keep(world, a_body(an_alert()))
    await replay(world, letter)
    with pytest.raises(ConflictError, match=r"replayed already, at 2026-03-01 12:00:00 UTC"):
        await replay(world, letter)
    assert await journaled(world) == [
        events.DeadLetterReplayed(letter_id=letter, source="alertmanager", alerts=1, via=ONCALL.via)
    ]
    (entry,) = await world.store.read(lambda tx: tx.entries("access"))
    assert entry.actor == ONCALL.actor
    assert sum((await world.stream.end_offsets()).values()) == 1
    assert (await world.queries.dead_letter(letter)).count == 1


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("alerts[3].status", an_alert("FanNoisy", "resolved")),
        ("[3].startsAt", {"labels": {"alertname": "FanNoisy"}}),
        ("payload.items[0].labels", {}),
    ],
    ids=["webhook", "api", "another shape"],
)
async def test_a_part_is_put_back_into_the_place_that_its_field_names(
    world: World, field: str, part: dict[str, Any]
) -> None:
    letter = await keep(world, json.dumps(part).encode(), index=3, field=field)
    replayed = await replay(world, letter)
    if field.startswith("payload"):
        assert not replayed.accepted
        assert replayed.letter.reason == "expected a list of alerts, got nothing"
        return
    assert (replayed.accepted, replayed.alerts) == (True, 1)
    expected = {"stale": 1} if "status" in part else {"unmatched": 1}
    assert dict(await world.consume()) == expected


async def test_what_still_cannot_be_understood_stays_with_the_new_reason(world: World) -> None:
    letter = await keep(world, a_body(an_alert(labels=5)))
    replayed = await replay(world, letter)
    assert (replayed.accepted, replayed.alerts) == (False, 0)
    assert "labels" in replayed.sentence
    kept = await world.queries.dead_letter(letter)
    assert kept == replayed.letter
    assert (kept.reason, kept.field) == (
        "expected an object of strings, got the number 5",
        "alerts[0].labels",
    )
    assert (kept.replayed_at, kept.count) == (None, 1)
    assert await journaled(world) == []
    assert set((await world.stream.end_offsets()).values()) == {0}


async def test_what_is_wrong_beside_sound_alerts_becomes_letters_of_its_own(world: World) -> None:
    letter = await keep(world, a_body(an_alert(), an_alert(labels=5)))
    assert (await replay(world, letter)).alerts == 1
    (rest,) = await world.queries.dead_letters(10, waiting=True)
    assert (rest.field, rest.count, rest.is_part) == ("alerts[1].labels", 1, True)


class Unfinished(AlertmanagerSource):
    """Has to ask somebody about each body; `outcome` is what comes of that."""

    outcome: Sequence[Alert] | Exception = ()

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        return replace(super().parse(body, received_at, sender), unfinished="the rest")

    @override
    async def finish(self, parsed: Parsed, received_at: datetime) -> Sequence[Alert]:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_what_a_body_left_to_do_is_done_or_the_letter_waits(world: World) -> None:
    source, letter = (
        Unfinished(AlertmanagerConfig()),
        await keep(world, a_body(an_alert("DoorOpen"))),
    )
    source.outcome = PermanentError("no account can confirm it")
    replayed = await replay(world, letter, source)
    assert (replayed.accepted, replayed.letter.reason) == (False, "no account can confirm it")
    source.outcome = TransientError("nobody answers")
    with pytest.raises(TransientError, match="nobody answers"):
        await replay(world, letter, source)
    assert (await world.queries.dead_letter(letter)).replayed_at is None
    source.outcome = SOURCE.parse(json.loads(a_body(an_alert("FanNoisy"))), world.clock.at).alerts
    replayed = await replay(world, letter, source)
    assert (replayed.accepted, replayed.alerts) == (True, 2)
    # The body's own alert came three times, as it would from a sender.
    assert dict(await world.consume()) == {"unmatched": 2, "repeat": 2}


async def test_a_body_that_comes_again_waits_again(world: World) -> None:
    letter = await keep(world, a_body(an_alert()))
    await replay(world, letter)
    assert await world.queries.dead_letters(10, waiting=True) == []
    assert await keep(world, a_body(an_alert())) == letter
    (again,) = await world.queries.dead_letters(10, waiting=True)
    assert (again.id, again.count) == (letter, 2)


async def test_a_record_of_the_stream_goes_back_under_its_key_when_it_decodes_now(
    world: World,
) -> None:
    alert = world.alert("FanNoisy", {"service": "a"})
    tick = encode_tick(Tick("incident_close", "x", world.clock.at), world.clock.at)
    records = [
        Record(0, 0, "service-of-the-inventory", b'{"type":"quell.alert.v9"}'),
        Record(0, 1, "k", b"\xff no JSON"),
    ]
    await world.decide(Batch(0, records), 0)
    letters = {each.body: each for each in await world.queries.dead_letters(10)}
    for body, problem in ((records[0].value, "Field required"), (records[1].value, "JSON")):
        answer = await replay(world, letters[body].id)
        assert not answer.accepted
        assert problem in answer.letter.reason
    # As an upgrade that understands it would find them.
    for body, key in ((encode_alert(alert), "kept-key"), (tick, "tick-key")):
        answer = await replay(world, await keep_record(world, body, key))
        assert answer.accepted
    keys = [
        record.key
        for partition in await world.stream.end_offsets()
        for record in await world.stream.read(partition, 0, 10)
    ]
    assert sorted(keys) == ["kept-key", "tick-key"]


async def test_without_a_kept_key_an_alert_has_its_own_and_a_timer_none(world: World) -> None:
    alert = world.alert("FanNoisy", {"service": "a"})
    assert (await replay(world, await keep_record(world, encode_alert(alert)))).accepted
    tick = encode_tick(Tick("incident_close", "x", world.clock.at), world.clock.at)
    answer = await replay(world, await keep_record(world, tick))
    assert answer.sentence.endswith("a timer whose key wasn't kept; it was set anew since")
    assert dict(await world.consume()) == {"unmatched": 1}


async def test_a_source_that_is_gone_and_an_unknown_letter_are_named(world: World) -> None:
    letter = await keep(world, a_body(an_alert()), source="old-pair")
    with pytest.raises(NotFoundError, match="no source 'old-pair' any more"):
        await replay(world, letter)
    with pytest.raises(NotFoundError, match="no dead letter 'zzzz'"):
        await replay(world, "zzzz")


async def test_only_who_may_order_replays(world: World) -> None:
    letter = await keep(world, a_body(an_alert()))
    with pytest.raises(DeniedError, match="oncall or admin"):
        await a_stage(world).replay_dead_letter(letter, by=STRANGER)
    assert (await world.queries.dead_letter(letter)).replayed_at is None


async def test_while_the_stream_is_away_the_letter_waits_as_it_is(world: World) -> None:
    letter = await keep(world, a_body(an_alert()))
    before = await world.queries.dead_letter(letter)
    await world.stream.close()
    with pytest.raises(TransientError):
        await replay(world, letter)
    assert await world.queries.dead_letter(letter) == before
