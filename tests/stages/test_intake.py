"""What the gateway hands in is durable before it is answered, and kept once."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from engine.core.records import decode_record
from engine.core.retention import Retention
from engine.errors import FullError, TransientError
from engine.ports.source import Rejected
from engine.ports.stream import Message, Stream
from engine.stages.intake import KEPT_AT_ONCE, StreamIntake
from engine.store.embedded_stream import MAX_RECORD_BYTES, partition_of
from tests.doubles.world import World


async def test_accepted_alerts_are_in_the_stream_under_their_partition_key(world: World) -> None:
    alerts = [world.alert("Down", {"service": "a"}), world.alert("Slow", {"service": "a"})]
    await world.intake.accept("alertmanager", alerts, 0)
    found = await world.stream.read(partition_of("a", 2), 0, 10)
    assert [decode_record(each.value) for each in found] == alerts
    assert {each.key for each in found} == {"a"}


async def test_a_large_body_is_appended_in_parts(world: World) -> None:
    alerts = [world.alert("Down", {"service": "a", "n": str(n)}) for n in range(1_203)]
    sizes = []
    append = world.stream.append

    async def counted(messages: Sequence[Message]) -> None:
        sizes.append(len(messages))
        await append(messages)

    stream = SimpleNamespace(append=counted, name=world.stream.name)
    intake = StreamIntake(world.store, cast("Stream", stream), world.clock)
    await intake.accept("alertmanager", alerts, 0)
    assert sizes == [KEPT_AT_ONCE, KEPT_AT_ONCE, 203]
    found = await world.stream.read(partition_of("a", 2), 0, 2_000)
    assert [decode_record(each.value) for each in found] == alerts


async def test_an_empty_body_appends_nothing(world: World) -> None:
    await world.intake.accept("alertmanager", [], 3)
    assert set((await world.stream.end_offsets()).values()) == {0}


async def test_a_stream_that_is_away_is_a_temporary_fault(world: World) -> None:
    await world.stream.close()
    with pytest.raises(TransientError):
        await world.intake.accept("alertmanager", [world.alert()], 0)


async def test_what_cannot_be_understood_is_kept_once_by_its_content(world: World) -> None:
    one = Rejected(0, "labels", "it is missing", b"{}")
    other = Rejected(1, "startsAt", "it is no time", b'{"startsAt": 5}')
    first = await world.intake.dead_letter("alertmanager", [one, other])
    world.clock.advance(60)
    again = await world.intake.dead_letter("alertmanager", [one])
    assert again == first[:1]
    assert len(set(first)) == 2
    letters = {each.id: each for each in await world.queries.dead_letters(10)}
    assert set(letters) == set(first)
    kept = letters[first[0]]
    assert (kept.count, kept.field, kept.reason, kept.body) == (2, "labels", "it is missing", b"{}")
    assert (kept.last_at - kept.first_at).total_seconds() == 60


async def test_nothing_to_keep_keeps_nothing(world: World) -> None:
    assert await world.intake.dead_letter("alertmanager", []) == []
    assert await world.queries.dead_letters(10) == []


async def test_a_record_that_the_stream_never_takes_is_kept_with_its_key(world: World) -> None:
    huge = world.alert("Huge", {"service": "a", "text": "x" * MAX_RECORD_BYTES})
    good = world.alert("Slow", {"service": "a"})
    await world.intake.accept("alertmanager", [huge, good], 0)
    (found,) = await world.stream.read(partition_of("a", 2), 0, 10)
    assert decode_record(found.value) == good
    (letter,) = await world.queries.dead_letters(10)
    assert letter.is_record
    assert (letter.source, letter.record_key) == (f"{world.stream.name}/refused", "a")
    assert "and the limit is" in letter.reason


async def test_without_room_for_dead_letters_a_body_is_refused_and_kept_nowhere(
    world: World,
) -> None:
    few = Retention(dead_letters_count=1)
    intake = StreamIntake(world.store, world.stream, world.clock, few)
    await intake.dead_letter("am", [Rejected(-1, "", "bad", b"1")])
    with pytest.raises(FullError, match="dead letters are full"):
        await intake.dead_letter("am", [Rejected(-1, "", "bad", b"2")])
    assert len(await world.queries.dead_letters(10)) == 1
