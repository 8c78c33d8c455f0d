"""Where there is no room for dead letters, senders keep what they sent, and no partition waits."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.core.retention import Retention
from engine.errors import FullError
from engine.ports import keeping
from engine.ports.keeping import COME_BACK_S, keep_of_sender, keep_of_stream
from engine.ports.rows import DeadLetter, DeadLetterUsage
from engine.store.dead_letter_rows import LISTED_BYTES
from tests.doubles.virtual_time import START
from tests.doubles.world import World

MIB = 1024 * 1024
FEW = Retention(dead_letters_count=3)
SMALL = Retention(dead_letters_size=MIB)


def letters(*names: str, size: int = 10, place: int = 0) -> list[DeadLetter]:
    return [
        DeadLetter(name, f"kafka/a/0/{place + n}", "bad", "f", b"x" * size, START, START)
        for n, name in enumerate(names)
    ]


async def of_sender(world: World, found: Sequence[DeadLetter], retention: Retention) -> None:
    await world.store.write(lambda tx: keep_of_sender(tx, found, retention))


async def of_stream(world: World, found: Sequence[DeadLetter], retention: Retention) -> None:
    await world.store.write(lambda tx: keep_of_stream(tx, found, retention))


async def kept(world: World) -> dict[str, DeadLetter]:
    return {each.id: each for each in await world.queries.dead_letters(100)}


@pytest.mark.parametrize(
    ("retention", "more"),
    [(FEW, letters("c", "d")), (SMALL, letters("c", "d", size=MIB // 2))],
    ids=["count", "bytes"],
)
async def test_a_sender_is_told_to_come_back_and_nothing_of_its_body_is_kept(
    world: World, retention: Retention, more: Sequence[DeadLetter]
) -> None:
    await of_sender(world, letters("a", "b"), retention)
    with pytest.raises(FullError, match="dead letters are full") as refused:
        await of_sender(world, more, retention)
    assert refused.value.retry_after_s == COME_BACK_S
    assert set(await kept(world)) == {"a", "b"}
    await of_sender(world, more[:1], retention)
    assert set(await kept(world)) == {"a", "b", "c"}


async def test_what_is_kept_already_is_counted_however_full_it_is(world: World) -> None:
    await of_sender(world, letters("a", "b", "c"), FEW)
    await of_sender(world, letters("b"), Retention(dead_letters_count=1))
    assert (await kept(world))["b"].count == 2


async def test_a_record_without_room_leaves_its_place_and_its_size(world: World) -> None:
    await of_stream(world, letters("a", "b", "c", "d", size=40), FEW)
    found = await kept(world)
    assert found["c"].body == b"x" * 40
    lacking = found["d"]
    assert (lacking.body, lacking.left_out, lacking.source) == (b"", 40, "kafka/a/0/3")
    assert (lacking.reason, lacking.field) == ("bad", "f")
    usage = await world.store.read(lambda tx: tx.dead_letter_usage())
    assert usage == DeadLetterUsage(4, 120, 1)


async def test_a_large_record_without_room_lets_a_small_one_in(world: World) -> None:
    found = [*letters("a", size=MIB // 2), *letters("b", size=MIB), *letters("c", size=100)]
    await of_stream(world, found, SMALL)
    sizes = {name: len(each.body) + each.left_out for name, each in (await kept(world)).items()}
    assert sizes == {"a": MIB // 2, "b": MIB, "c": 100}
    assert {name: len(each.body) for name, each in (await kept(world)).items()} == {
        "a": LISTED_BYTES,
        "b": 0,
        "c": 100,
    }


async def test_past_the_bound_of_places_one_letter_a_partition_counts_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_BODILESS", 2)
    await of_stream(world, letters("a", "b", "c", "d", "e", "f", "g"), FEW)
    await of_stream(world, letters("h", place=9), FEW)
    elsewhere = [replace(each, source="kafka/a/1/77") for each in letters("i")]
    await of_stream(world, elsewhere, FEW)
    found = await kept(world)
    others = {each.source: each for name, each in found.items() if name not in "abcdefghi"}
    assert set(found) - {each.id for each in others.values()} == set("abcde")
    first, second = others["kafka/a/0/5"], others["kafka/a/1/77"]
    assert (first.count, second.count) == (3, 1)
    assert "up to offset 9" in first.reason
    assert first.body == b""
