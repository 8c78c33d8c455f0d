"""What surfaces read of a chain: all of a usual one, bounded parts of any other."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.core import events
from engine.core.incident import Incident
from engine.core.incident_view import view
from engine.core.journal import Entry
from engine.core.postmortem import ALERTS_SHOWN, postmortem
from engine.core.sla import Sla
from engine.errors import NotFoundError
from engine.ports.recording import incident_of, record
from engine.ports.store import Tx
from engine.ports.stories import FROM_END, FROM_RUN, FROM_START, story_of
from tests.doubles.world import World

BUSY = 1_000


async def flapped(world: World, times: int) -> None:
    """Alerts that came and went, an entry each time."""

    def work(tx: Tx, incident: Incident) -> Incident:
        for n in range(times // 2):
            alert = {"name": "Down", "labels": {"n": str(n)}, "starts_at": "then"}
            one: Sequence[events.Event] = (
                events.OccurrenceJoined(occurrence_ids=(f"o{n}",), digest="d", alerts=(alert,)),
                events.OccurrenceEnded(occurrence_ids=(f"o{n}",), by="source"),
            )
            incident = record(tx, incident, one, world.author())
        return incident

    incident = await world.incident()
    await world.store.write(lambda tx: work(tx, incident))


async def told(world: World) -> Sequence[Entry]:
    incident = await world.incident()
    return await world.store.read(lambda tx: story_of(tx, incident))


async def test_a_usual_chain_is_told_whole(world: World) -> None:
    await world.fire()
    await flapped(world, FROM_END)
    incident = await world.incident()
    whole = (await world.queries.timeline(incident.id)).entries
    assert list(await told(world)) == list(whole)
    assert len(whole) > FROM_START


async def test_of_a_long_chain_both_ends_and_the_run_are_told(world: World) -> None:
    await flapped_around_a_run(world)
    incident = await world.incident()
    entries = await told(world)
    seqs = [entry.seq for entry in entries]
    assert seqs == sorted(set(seqs))
    last = (await world.store.read(lambda tx: tx.head(entries[0].chain)))[0]
    assert last > 2 * BUSY
    assert seqs[:FROM_START] == list(range(1, FROM_START + 1))
    assert seqs[-FROM_END:] == list(range(last - FROM_END + 1, last + 1))
    between = [entry.kind for entry in entries[FROM_START:-FROM_END]]
    assert between[0] == events.RunCreated.KIND
    assert events.ApprovalRequested.KIND in between
    assert events.OccurrenceJoined.KIND not in between
    assert len(entries) <= FROM_START + FROM_RUN + FROM_END
    shown = view(incident, entries)
    assert shown.approval is not None
    assert shown.revision == last


async def flapped_around_a_run(world: World) -> None:
    """A chain whose latest run began behind its first thousand entries."""
    await world.intake.accept("alertmanager", [world.alert()], 0)
    await world.consume()
    (created,) = await world.told(events.RunCreated)
    again = created.model_copy(update={"run_id": "another", "trigger": "another"})
    await flapped(world, BUSY)
    before = await world.incident()
    await world.store.write(lambda tx: record(tx, before, [again], world.author()))
    await world.settle("run")
    assert (await world.incident()).run_id == "another"
    await flapped(world, BUSY)


async def test_a_postmortem_of_a_long_chain_says_what_it_leaves_out(world: World) -> None:
    await flapped_around_a_run(world)
    incident, entries = await world.incident(), await told(world)
    text = postmortem(replace(incident, occurrences=70_000), entries, Sla({}))
    assert "entries are not shown here" in text
    assert f"- and {70_000 - ALERTS_SHOWN} more" in text
    assert len(text) < 100_000


async def test_a_task_leads_to_its_incident(world: World) -> None:
    await world.fire()
    world.clock.advance(1)
    task = await world.claimed("message")
    found = await world.store.read(lambda tx: incident_of(tx, task))
    assert found.id == task.payload["incident_id"]
    lost = replace(task, payload={"incident_id": "nobody"})
    with pytest.raises(NotFoundError, match=task.id):
        await world.store.read(lambda tx: incident_of(tx, lost))
