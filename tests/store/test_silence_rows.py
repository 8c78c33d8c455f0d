from dataclasses import replace
from datetime import timedelta

from engine.core.silences import Silence
from engine.ports.store import Store, Tx
from tests.services.stores import START

HOUR = timedelta(hours=1)


async def test_silences_are_found_until_they_end_and_forgotten_later(store: Store) -> None:
    def work(tx: Tx) -> None:
        now = tx.now
        first = Silence("aaa1", ("service=größe",), now, now + 2 * HOUR, "me", "why", "http://x/1")
        tx.silences.put(first)
        tx.silences.put(replace(first, id="aab2", ends_at=now + HOUR))
        tx.silences.put(replace(first, id="old", ends_at=now - HOUR))
        assert [each.id for each in tx.silences.current()] == ["aab2", "aaa1"]
        assert tx.silences.find("aaa") == [first]
        assert len(tx.silences.find("aa")) == 2
        assert tx.silences.find("%") == ()
        tx.silences.put(replace(first, ends_at=now))
        assert [each.id for each in tx.silences.current()] == ["aab2"]
        assert tx.silences.forget(now) == 1
        assert [each.id for each in tx.silences.find("old")] == []

    await store.write(work)
    assert START is not None
