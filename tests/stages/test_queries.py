"""What anybody can ask, and whether the journal's chains are sound."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from engine.core.ids import derived_id
from engine.core.incident import chain_of
from engine.errors import NotFoundError
from engine.ports.rows import IncidentFilter
from engine.ports.source import Rejected
from engine.stages.queries import QueryStage
from tests.doubles.world import ONCALL, World, approve


async def test_incidents_are_filtered_and_paged_from_the_newest_down(world: World) -> None:
    for service in ("a", "b", "c"):
        await world.fire("FanNoisy", service=service)
    found = await world.queries.incidents(IncidentFilter(limit=2))
    assert [each.service for each in found] == ["c", "b"]
    rest = await world.queries.incidents(IncidentFilter(before_number=found[-1].number))
    assert [each.service for each in rest] == ["a"]
    only = await world.queries.incidents(IncidentFilter(service="b", status="open"))
    assert [each.service for each in only] == ["b"]


async def test_an_incident_is_found_by_number_and_by_any_unique_prefix(world: World) -> None:
    await world.fire("FanNoisy", service="a")
    await world.fire("FanNoisy", service="b")
    first, second = await world.incidents()
    assert first.id[0] != second.id[0], "the ids are derived, so this stays as it is"
    for spelt in (first.id, first.id[:6], first.id[:1].upper(), first.name, "inc-1", "1"):
        assert (await world.queries.incident(spelt)).id == first.id


async def test_what_is_ambiguous_or_unknown_says_what_to_do(world: World) -> None:
    for number in range(33):  # more than there are first characters
        await world.fire("FanNoisy", service=f"s{number}")
    firsts = Counter(each.id[0] for each in await world.incidents())
    shared = next(first for first, n in firsts.items() if n > 1 and not first.isdigit())
    with pytest.raises(NotFoundError, match="isn't unique; give more of it"):
        await world.queries.incident(shared)
    with pytest.raises(NotFoundError, match="no incident 'INC-99'; `quell incidents` lists"):
        await world.queries.incident("INC-99")
    with pytest.raises(NotFoundError):
        await world.queries.incident("")


async def test_a_request_is_found_by_its_own_its_runs_or_its_incidents_id(world: World) -> None:
    await world.fire()
    row = await world.approval()
    incident = await world.incident()
    for spelt in (row.id, row.run_id[:8], incident.id[:8], incident.name):
        assert (await world.queries.approval(spelt)).id == row.id
    await approve(world)
    assert (await world.queries.approval(incident.name)).state == "approved"
    with pytest.raises(NotFoundError, match="no approval 'INC-99'"):
        await world.queries.approval("INC-99")
    await world.fire("FanNoisy", service="fans")
    (unasked,) = [each for each in await world.incidents() if each.service == "fans"]
    with pytest.raises(NotFoundError, match=f"nobody was asked .* in {unasked.name}"):
        await world.queries.approval(unasked.id)


async def test_a_pending_request_comes_before_those_that_are_decided(world: World) -> None:
    await world.fire()
    first = await world.approval()
    await approve(world)
    run = first.run_id
    pending = type(first)(
        id=derived_id("approval", run, "2"),
        run_id=run,
        incident_id=first.incident_id,
        plan_hash="h",
        ask=first.ask,
        state="pending",
        requested_at=first.requested_at,
        expires_at=first.expires_at,
    )
    await world.store.write(lambda tx: tx.create_approval(pending))
    assert (await world.queries.approval(run)).id == pending.id


async def test_the_request_of_a_run_that_ended_unanswered_is_not_in_the_way(world: World) -> None:
    await world.fire()
    first = await world.approval()
    await world.commands.cancel_run(first.run_id, by=ONCALL, reason="I look myself")
    await world.settle()
    assert (await world.approval()).id == first.id, "and says that its run ended"
    earlier = first.requested_at - timedelta(minutes=1)
    goes_on = replace(first, id="goes-on", run_id="another", requested_at=earlier)
    await world.store.write(lambda tx: tx.create_approval(goes_on))
    assert (await world.approval()).id == "goes-on"


async def test_the_balance_accounts_for_every_record(world: World) -> None:
    await world.fire()
    await world.fire()
    await world.intake.accept("alertmanager", [world.alert("FanNoisy"), world.alert("Slow")], 0)
    balance = await world.queries.balance()
    assert dict(balance.dispositions) == {"new": 1, "repeat": 1}
    assert (balance.records, balance.waiting, balance.difference) == (4, 2, 0)
    assert (
        balance.bodies_received,
        balance.bodies_appended,
        balance.bodies_dead_lettered,
    ) == (3, 2, 1)
    await world.consume()
    balance = await world.queries.balance()
    assert (balance.records, balance.waiting, balance.difference) == (4, 0, 0)


async def test_a_record_without_a_disposition_shows_in_the_balance(world: World) -> None:
    await world.fire()
    await world.store.write(lambda tx: tx.count({f"records/{world.stream.name}": 1}))
    assert (await world.queries.balance()).difference == 1


async def test_records_of_an_earlier_stream_stay_in_the_balance(world: World) -> None:
    await world.fire()
    await world.store.write(lambda tx: tx.count({"records/kafka": 2, "disposition/new": 2}))
    assert (await world.queries.balance()).difference == 0


async def test_sound_chains_have_no_faults(world: World) -> None:
    await world.fire()
    report = await world.queries.verify_audit()
    assert report.faults == ()
    assert report.chains == len(await world.incidents()) == 2
    chains = [(await world.queries.timeline(each.id)).entries for each in await world.incidents()]
    assert report.entries == sum(map(len, chains)) == 10
    for chain in chains:
        assert [each.seq for each in chain] == list(range(1, len(chain) + 1))


@dataclass(frozen=True)
class Tampering:
    statement: str
    fault: str


TAMPERED = {
    "a changed body": Tampering(
        "UPDATE entries SET body = CAST(replace(body, 'gpu-07', 'gpu-08') AS BLOB) "
        "WHERE chain = ? AND seq = 3",
        "entry 3: the body was changed",
    ),
    "a changed actor": Tampering(
        "UPDATE entries SET actor = 'somebody' WHERE chain = ? AND seq = 2",
        "entry 2: the entry was changed",
    ),
    "a removed entry": Tampering(
        "DELETE FROM entries WHERE chain = ? AND seq = 2", "expected entry 2, found 3"
    ),
    "a cut end": Tampering(
        "DELETE FROM entries WHERE chain = ? AND seq = (SELECT max(seq) FROM entries)",
        "should end at entry",
    ),
}


@pytest.mark.parametrize("tampering", TAMPERED.values(), ids=TAMPERED)
async def test_what_was_tampered_with_is_found(world: World, tampering: Tampering) -> None:
    await world.fire()
    chain = chain_of((await world.incident()).id)
    with closing(sqlite3.connect(world.folder / "quell.db")) as connection:
        assert connection.execute(tampering.statement, [chain]).rowcount == 1
        connection.commit()
    (fault,) = (await world.queries.verify_audit()).faults
    assert fault.startswith(chain)
    assert tampering.fault in fault


async def test_dead_letters_come_newest_first(world: World) -> None:
    for number in range(3):
        await world.intake.dead_letter("am", [Rejected(0, "", "bad", b"%d" % number)])
        world.clock.advance(1)
    letters = await world.queries.dead_letters(2)
    assert [letter.body for letter in letters] == [b"2", b"1"]


async def test_what_is_spooled_waits_too(world: World) -> None:
    await world.intake.accept("alertmanager", [world.alert(), world.alert("Slow")], 0)
    queries = QueryStage(world.store, world.stream, lambda: (0, 0, 0), lambda: 5)
    balance = await queries.balance()
    assert (balance.waiting, balance.records, balance.difference) == (7, 7, 0)
