"""Reservations on each database: two runs that one guard sets apart never both count too few."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from engine.core.blast_radius import first_excess, radii_of
from engine.core.documents import InventoryDocument
from engine.core.guards import (
    OUTSIDE,
    TAKES_BACK,
    Guard,
    Refusal,
    Reservation,
    first_refusal,
    guards_of,
)
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.policy_documents import NO_LIMITS, Limits
from engine.ports.store import Store, Tx
from tests.doubles.runs import a_plan, a_playbook
from tests.services.stores import START, Database

DEADLINE_S = 30.0
DAY = timedelta(days=1)
TAKEN = Reservation(
    run_id="r1",
    target="gpu-07",
    playbook_id="restart",
    rule_id="down",
    service="größe",
    incident_id="i1",
    incident="INC-1",
    taken_at=START,
)
LOCK = Guard("lock", (("target", "gpu-07"),), "held")
BUDGET = Guard("budget", (), "taken", 0, timedelta(hours=1))


async def reserve(store: Store, *taken: Reservation) -> None:
    await store.write(lambda tx: tx.reserve(taken))


async def test_what_was_reserved_is_held_until_it_is_let_go(database: Database) -> None:
    other = replace(TAKEN, target="gpu-08", taken_at=START - timedelta(seconds=1))
    async with database.opened() as store:
        await reserve(store, TAKEN, other)
        await reserve(store, replace(TAKEN, taken_at=START + timedelta(hours=1)))
        assert await store.read(lambda tx: tx.held()) == [other, TAKEN], "the oldest first"
    async with database.opened() as store:
        await store.write(lambda tx: tx.release("r1"))
        assert await store.read(lambda tx: tx.held()) == []
        (released,) = await store.read(lambda tx: tx.counted(replace(LOCK, within=DAY)))
        assert released.released_at is not None
        await store.write(lambda tx: tx.release("r1"))
        (again,) = await store.read(lambda tx: tx.counted(replace(LOCK, within=DAY)))
        assert again == released, "what was let go stays as it was"


@pytest.mark.parametrize(
    ("begun", "ended", "told"),
    [
        ("", "failed", "failed"),
        (TAKES_BACK, "succeeded", TAKES_BACK),
        (TAKES_BACK, "", ""),
    ],
    ids=["an outcome", "taken back, however it ended", "let go by a person"],
)
async def test_what_is_let_go_says_how_it_ended(
    store: Store, begun: str, ended: str, told: str
) -> None:
    await reserve(store, replace(TAKEN, outcome=begun))
    await store.write(lambda tx: tx.release("r1", ended))
    (released,) = await store.read(lambda tx: tx.counted(replace(LOCK, within=DAY)))
    assert released.outcome == told


async def test_a_guard_counts_among_its_own(store: Store) -> None:
    def work(tx: Tx) -> None:
        now = tx.now
        old = replace(TAKEN, run_id="old", taken_at=now - 3 * DAY)
        tx.reserve([old])
        tx.release("old")  # now: it is no longer held, and was let go within any time
        tx.reserve([replace(TAKEN, run_id="recent", taken_at=now - timedelta(hours=1))])
        tx.reserve([replace(TAKEN, run_id="drain", playbook_id="drain", taken_at=now - 2 * DAY)])
        tx.reserve([replace(TAKEN, run_id="far", target="gpu-09", taken_at=now)])

    await store.write(work)

    async def counted(guard: Guard) -> set[str]:
        return {each.run_id for each in await store.read(lambda tx: tx.counted(guard))}

    restarts = Guard("budget", (("playbook_id", "restart"),), "taken", 0, DAY).among
    assert await counted(LOCK) == {"recent", "drain"}
    assert await counted(replace(LOCK, within=DAY)) == {"old", "recent", "drain"}
    assert await counted(Guard("budget", restarts, "taken", 0, DAY)) == {"old", "recent", "far"}
    cooldown = Guard("cooldown", (*restarts, *LOCK.among), "released", 0, DAY)
    assert await counted(cooldown) == {"old", "recent"}
    assert await counted(replace(BUDGET, within=DAY)) == {"old", "recent", "drain", "far"}
    assert await counted(Guard("cooldown", (("rule_id", "slow"),), "released", 0, DAY)) == set()


async def test_what_a_run_reserved_for_nothing_is_forgotten(store: Store) -> None:
    await reserve(store, TAKEN, replace(TAKEN, run_id="r2"))
    await store.write(lambda tx: tx.forget_reservations("r1"))
    assert [each.run_id for each in await store.read(lambda tx: tx.held())] == ["r2"]


async def test_what_others_changed_is_over_at_once_and_goes_like_all_else(store: Store) -> None:
    now = await store.read(lambda tx: tx.now)
    theirs = replace(
        TAKEN,
        playbook_id="a release\0",
        incident="token:\ud800",
        taken_at=now,
        released_at=now,
        outcome=OUTSIDE,
    )
    await reserve(store, theirs)
    assert await store.read(lambda tx: tx.held()) == []
    await store.write(lambda tx: tx.release("r1", "failed"))
    (kept,) = await store.read(lambda tx: tx.counted(replace(LOCK, within=DAY)))
    assert (kept.taken_at, kept.released_at, kept.outcome) == (now, now, OUTSIDE)
    assert kept.playbook_id.startswith("a release")
    later = now + timedelta(seconds=1)
    assert await store.write(lambda tx: tx.forget_reservations_before(later)) == 1


async def test_old_reservations_go_and_held_ones_never(store: Store) -> None:
    await reserve(store, TAKEN, replace(TAKEN, run_id="r2"))
    await store.write(lambda tx: tx.release("r2"))
    later = await store.read(lambda tx: tx.now + timedelta(seconds=1))
    earlier = later - timedelta(minutes=1)
    assert await store.write(lambda tx: tx.forget_reservations_before(earlier)) == 0
    assert await store.write(lambda tx: tx.forget_reservations_before(later)) == 1
    assert [each.run_id for each in await store.read(lambda tx: tx.held())] == ["r1"]


async def test_of_many_that_are_about_to_begin_as_many_do_as_the_guard_allows(
    store: Store, other_store: Store
) -> None:
    """Each counts and reserves in one transaction, as an intent does; replicas share PostgreSQL."""
    guard = replace(BUDGET, at_most=2)

    async def begin(on: Store, number: int) -> bool:
        run = f"r{number}"

        def work(tx: Tx) -> bool:
            tx.hold_stops()
            tx.hold_guards([guard.key, LOCK.key])
            if first_refusal([guard], tx.counted, run, tx.now) is not None:
                return False
            tx.reserve([replace(TAKEN, run_id=run, target=run, taken_at=tx.now)])
            return True

        return await on.write(work)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        begun = [
            group.create_task(begin(on, number))
            for number, on in enumerate((store, other_store) * 8)
        ]
    assert sum(each.result() for each in begun) == 3
    assert len(await store.read(lambda tx: tx.held())) == 3


def a_run(run: str, **changes: Any) -> Reservation:
    return replace(TAKEN, **{"run_id": run, "target": run, **changes})


@pytest.mark.parametrize(
    ("words", "taken", "ended", "guard"),
    [
        ({"concurrency": {"max": 1}}, [a_run("1", target="b")], "", "concurrency"),
        (
            {"concurrency": {"max": 1, "per": "service"}},
            [a_run("1", target="b", playbook_id="drain")],
            "",
            "concurrency",
        ),
        ({"breaker": {"failures": 2}}, [a_run("1"), a_run("2")], "failed", "breaker"),
        ({"breaker": {"failures": 2}}, [a_run("1"), a_run("2")], "succeeded", None),
        (
            {"recurrence": {"times": 3}},
            [a_run("1", target="host"), a_run("2", target="host")],
            "succeeded",
            "recurrence",
        ),
    ],
)
async def test_each_guard_of_a_playbook_fires_on_each_database(
    store: Store,
    words: Mapping[str, Any],
    taken: Sequence[Reservation],
    ended: str,
    guard: str | None,
) -> None:
    plan = a_plan(a_playbook()).model_copy(update={"guards": words})

    def work(tx: Tx) -> Refusal | None:
        tx.reserve([replace(each, taken_at=tx.now) for each in taken])
        for each in taken if ended else ():
            tx.release(each.run_id, ended)
        return first_refusal(guards_of(plan, "rule", ["größe"]), tx.counted, "new", tx.now)

    found = await store.write(work)
    assert (found.guard if found else None) == guard


@pytest.mark.parametrize(
    ("limits", "refused"),
    [({"max": 1}, "changes"), ({"max": 2}, None), ({"max": 1, "per": "target"}, None)],
)
async def test_what_policy_limits_fires_on_each_database(
    store: Store, limits: Mapping[str, Any], refused: str | None
) -> None:
    limited = Limits.model_validate({"changes": {"within": "15m", **limits}})
    guards = guards_of(a_plan(a_playbook()), "rule", ["größe"], limited)

    def work(tx: Tx) -> Refusal | None:
        tx.reserve([a_run("r1", taken_at=tx.now)])
        return first_refusal(guards, tx.counted, "new", tx.now)

    found = await store.write(work)
    assert (found.guard if found else None) == refused


async def test_of_runs_of_one_group_only_as_many_begin_as_its_radius_allows(
    store: Store, other_store: Store
) -> None:
    """Each looks and reserves in one transaction, as an intent does."""
    hosts = {f"h{number}": {"kind": "host", "service": "llm"} for number in range(8)}
    document = {"language": 1, "targets": hosts, "services": {"llm": {}}}
    inventory = build_inventory(InventoryDocument.model_validate(document), Mistakes())
    guards = {"blast_radius": {"group": "llm", "max_unavailable": "25%"}}

    async def begin(on: Store, host: str) -> bool:
        plan = a_plan(a_playbook())
        changing, *looks = plan.steps
        steps = (changing.model_copy(update={"targets": (host,)}), *looks)
        plan = plan.model_copy(update={"run_id": host, "guards": guards, "steps": steps})
        radii = radii_of(plan, inventory, NO_LIMITS)

        def work(tx: Tx) -> bool:
            tx.hold_guards([each.guard.key for each in radii])
            if first_excess(radii, plan.run_id, plan.changed_targets, tx.counted, dict) is not None:
                return False
            tx.reserve([a_run(host, service="llm")])
            return True

        return await on.write(work)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        begun = [
            group.create_task(begin(on, host))
            for host, on in zip(hosts, (store, other_store) * 4, strict=True)
        ]
    assert sum(each.result() for each in begun) == 2


async def test_excused_failures_let_one_run_try(store: Store) -> None:
    breaker = Guard("breaker", (("playbook_id", "restart"),), "failed", 1, DAY)

    async def refused() -> Refusal | None:
        return await store.read(lambda tx: first_refusal([breaker], tx.counted, "new", tx.now))

    async def fail(*runs: str) -> None:
        await reserve(store, *(a_run(run) for run in runs))
        for run in runs:
            await store.write(partial(_release, run))

    def _release(run: str, tx: Tx) -> None:
        tx.release(run, "failed")

    await fail("r1", "r2")
    assert await refused() is not None
    await store.write(lambda tx: tx.excuse(["r1", "r2"]))
    assert await refused() is None
    await fail("r3")
    assert await refused() is not None


async def test_guards_are_held_in_one_order_whatever_order_they_are_named_in(
    store: Store, other_store: Store
) -> None:
    keys = [f"target=gpu-{n:02}" for n in range(12)]

    async def hold(on: Store, names: list[str]) -> None:
        for _ in range(5):
            await on.write(lambda tx: tx.hold_guards(names))

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(hold(store, keys))
        group.create_task(hold(other_store, keys[::-1]))
