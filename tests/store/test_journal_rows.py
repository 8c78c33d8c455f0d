"""The journal on each database."""

import asyncio

from engine.core.events import IncidentAcknowledged, IncidentResolved, MessageSent
from engine.core.journal import NewEntry, verify_chain
from engine.ports.store import Store, Tx
from engine.store.journal_rows import PAGE_BYTES
from tests.services.stores import START
from tests.store.values import appended, note

DEADLINE_S = 30.0


async def test_entries_come_back_exactly_as_they_were_sealed(store: Store) -> None:
    sealed = await store.write(appended("incident/a", "one", "zwei — 三\0"))
    sealed += await store.write(appended("incident/a", "three"))
    assert [entry.seq for entry in sealed] == [1, 2, 3]
    assert await store.read(lambda tx: tx.entries("incident/a")) == sealed
    assert await store.read(lambda tx: tx.entries("incident/a", after_seq=2)) == sealed[2:]
    assert len({entry.salt for entry in sealed}) == 3
    heads = await store.read(lambda tx: tx.heads())
    assert heads == {"incident/a": (3, sealed[2].entry_hash)}
    assert verify_chain("incident/a", sealed, heads["incident/a"]) is None


async def test_a_transaction_sees_what_it_appended(store: Store) -> None:
    def work(tx: Tx) -> list[tuple[int, ...]]:
        seen = []
        for text in ("a", "b"):
            tx.append("system", [note(text)])
            seen.append(tuple(entry.seq for entry in tx.entries("system")))
        tx.append("system", [])
        return [*seen, (tx.heads()["system"][0],)]

    assert await store.write(work) == [(1,), (1, 2), (2,)]


async def test_what_a_transaction_appended_is_told_as_what_was_there(store: Store) -> None:
    await store.write(lambda tx: tx.append("system", [note("a")]))

    def work(tx: Tx) -> list[list[int]]:
        tx.append("system", [note("b"), note("c")])
        asked: list[tuple[int, tuple[str, ...], int | None]] = [
            (0, (), None),
            (1, (), None),
            (2, (), None),
            (1, (), 1),
            (1, (IncidentAcknowledged.KIND,), None),
        ]
        return [
            [e.seq for e in tx.entries("system", after_seq=after, without=without, limit=limit)]
            for after, without, limit in asked
        ]

    assert await store.write(work) == [[1, 2, 3], [2, 3], [3], [2], []]


async def test_concurrent_appends_to_one_chain_leave_no_gap_and_no_fork(store: Store) -> None:
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for n in range(200):
            chains = ["system", f"incident/{n % 5}"][:: 1 if n % 2 else -1]

            def work(tx: Tx, chains: list[str] = chains) -> None:
                for chain in chains:
                    tx.append(chain, [note("x"), note("y")])

            group.create_task(store.write(work))
    heads = await store.read(lambda tx: tx.heads())
    assert {chain: seq for chain, (seq, _) in heads.items()} == {
        "system": 400,
        **{f"incident/{n}": 80 for n in range(5)},
    }
    stories = await store.read(lambda tx: {chain: tx.entries(chain) for chain in heads})
    for chain, entries in stories.items():
        assert verify_chain(chain, entries, heads[chain]) is None


async def test_a_text_is_kept_by_its_hash_once(store: Store) -> None:
    await store.write(lambda tx: tx.put_text("aa", b"\0first"))
    await store.write(lambda tx: tx.put_text("aa", b"second"))
    assert await store.read(lambda tx: (tx.text("aa"), tx.text("bb"))) == (b"\0first", None)


async def test_entries_come_in_pages_and_of_one_kind(store: Store) -> None:
    resolved = NewEntry(IncidentResolved(), START)
    sealed = await store.write(
        lambda tx: tx.append("a", [note("1"), resolved, note("2"), resolved, note("3")])
    )
    one, two, three, four, five = sealed
    kind, other = note("").event.KIND, IncidentResolved.KIND

    def work(tx: Tx) -> None:
        assert tx.entries("a", limit=2) == [one, two]
        assert tx.entries("a", after_seq=2, limit=2) == [three, four]
        assert tx.entries("a", without=[other]) == [one, three, five]
        assert tx.entries("a", without=[other], after_seq=1, limit=1) == [three]
        assert tx.page("a", limit=2) == [one, two]
        assert tx.page("a", after_seq=2, limit=9) == [three, four, five]
        assert tx.page("a", kind=other, after_seq=2, limit=2) == [four]
        assert tx.page("a", after_seq=5, limit=2) == tx.page("b", limit=2) == ()
        assert tx.last_entry("a", other) == four
        assert tx.last_entry("a", "x@1") is tx.last_entry("b", kind) is None

    await store.read(work)


async def test_a_page_ends_where_its_entries_are_large_and_has_at_least_one(store: Store) -> None:
    half = "x" * (PAGE_BYTES // 2 - 100)
    texts = [half, half, "small", "x" * (PAGE_BYTES - 60), "small"]
    told = [NewEntry(MessageSent(notifier="chat", ref=text, revision=1), START) for text in texts]
    sealed = await store.write(lambda tx: tx.append("a", told))

    def work(tx: Tx) -> list[int]:
        pages, seq = [], 0
        while page := tx.page("a", after_seq=seq, limit=100):
            assert page == sealed[seq : page[-1].seq]
            pages.append(len(page))
            seq = page[-1].seq
        return pages

    assert await store.read(work) == [3, 1, 1]


async def test_heads_come_in_pages_by_name(store: Store) -> None:
    for chain in ("b", "system", "a", "Z", "ä"):
        await store.write(appended(chain, "x"))

    def work(tx: Tx) -> list[list[str]]:
        return [
            list(tx.heads()),
            list(tx.heads(limit=2)),
            list(tx.heads(after="a", limit=2)),
            list(tx.heads(after="ä")),
        ]

    assert await store.read(work) == [
        ["Z", "a", "b", "system", "ä"],
        ["Z", "a"],
        ["b", "system"],
        [],
    ]


async def test_an_append_follows_the_head_that_was_shown(store: Store) -> None:
    """However many write: otherwise what a checkpoint says of its own chain would be wrong."""
    shown: list[tuple[int, int]] = []

    async def write(number: int) -> None:
        def work(tx: Tx) -> tuple[int, int]:
            seq, entry_hash = tx.head("system")
            (entry,) = tx.append("system", [note(str(number))])
            assert entry.prev_hash == entry_hash
            return seq, entry.seq

        shown.append(await store.write(work))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(write(number))
    assert sorted(shown) == [(n, n + 1) for n in range(40)]


async def test_a_chain_has_grown_until_a_checkpoint_names_its_head(store: Store) -> None:
    (a,) = await store.write(appended("a", "x"))
    b, c = [(await store.write(appended(chain, "x", "y")))[-1] for chain in ("b", "c")]
    heads = [(each.chain, each.seq, each.entry_hash) for each in (a, b, c)]

    async def grown(limit: int = 10) -> list[tuple[str, int, str]]:
        return list(await store.read(lambda tx: tx.grown_chains(limit)))

    assert await grown() == heads
    assert await grown(2) == heads[:2]
    await store.write(lambda tx: tx.mark_checkpointed({"c": 2, "a": 1}))
    await store.write(lambda tx: tx.mark_checkpointed({}))
    assert await grown() == [heads[1]]
    (later,) = await store.write(appended("a", "z"))
    assert await grown() == [("a", 2, later.entry_hash), heads[1]]
    await store.write(lambda tx: tx.mark_checkpointed({"a": 2, "b": 2}))
    assert await grown() == []
