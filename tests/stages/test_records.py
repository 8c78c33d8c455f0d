"""What an incident leaves behind: one file, one ticket."""

import hashlib

from engine.core import events
from engine.core.incident import Incident
from engine.errors import OutcomeUnknownError, PermanentError
from engine.ports.tracker import TicketDraft
from engine.stages.records import LOOK_AGAIN_AFTER, RecordsStage
from tests.doubles.world import World, approve


async def mended(world: World) -> None:
    await world.fire()
    await world.elapse(5)
    await approve(world)
    await world.elapse(30)
    await world.resolve()


def a_draft(incident: Incident) -> TicketDraft:
    return TicketDraft(incident.id, "title", "body", "P1", "llm")


async def test_the_postmortem_is_written_once_with_the_hash_of_its_text(world: World) -> None:
    await mended(world)
    await world.elapse(60)
    incident = await world.incident()
    (written,) = await world.told(events.PostmortemWritten)
    text = world.kept[incident.name]
    assert written.path == incident.postmortem == f"postmortems/{incident.name}.md"
    assert written.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert "gpu-07$ restart" in text
    assert "succeeded" in text


async def test_one_ticket_with_the_postmortem_in_it(world: World) -> None:
    await mended(world)
    await world.elapse(60)
    incident = await world.incident()
    ((draft, _),) = world.tracker.asked
    assert (draft.key, draft.severity, draft.service) == (incident.id, "P1", "llm")
    assert draft.title.startswith(f"{incident.name} P1: ")
    assert "gpu-07$ restart" in draft.body_markdown
    (opened,) = await world.told(events.TicketOpened)
    assert (opened.tracker, opened.key, opened.url) == (
        "tracker",
        "OPS-1",
        "https://tracker.example/OPS-1",
    )
    assert (incident.ticket, incident.ticket_url) == (opened.key, opened.url)


async def test_a_lost_answer_makes_no_second_ticket(world: World) -> None:
    world.tracker.faults = [OutcomeUnknownError("the answer was lost")]
    await mended(world)
    assert await world.told(events.TicketOpened) == []
    await world.elapse(LOOK_AGAIN_AFTER.total_seconds() - 1)
    assert len(world.tracker.asked) == 1
    await world.elapse(2)
    assert world.tracker.asked[1][1] is True
    assert world.tracker.made == 1
    assert [each.key for each in await world.told(events.TicketOpened)] == ["OPS-1"]
    assert await world.tasks("ticket") == {}


async def test_a_crash_after_the_ticket_was_made_makes_no_second_one(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.intake.accept("alertmanager", [world.alert(status="resolved")], 0)
    await world.settle("run", "message", "postmortem", "tick")
    lost = await world.claimed("ticket", worker="crashes")
    await world.tracker.open(a_draft(await world.incident()), may_exist=True)
    world.clock.advance(60)
    again = await world.claimed("ticket")
    assert again.token > lost.token
    await world.records.open_ticket(again)
    assert world.tracker.made == 1
    assert len(await world.told(events.TicketOpened)) == 1


async def test_a_ticket_that_is_refused_for_good_is_given_up(world: World) -> None:
    world.tracker.faults = [PermanentError("no such project")]
    await mended(world)
    await world.elapse(60)
    assert await world.tasks("ticket") == {}
    assert len(world.tracker.asked) == 1
    assert await world.told(events.TicketOpened) == []


async def test_without_a_tracker_there_is_only_the_file(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.intake.accept("alertmanager", [world.alert(status="resolved")], 0)
    await world.settle("run", "message", "postmortem", "tick")
    stage = RecordsStage(world.store, world.keep, None, world.records.sla, world.author)
    await stage.open_ticket(await world.claimed("ticket"))
    assert await world.tasks("ticket") == {}
    assert world.tracker.asked == []


async def test_an_incident_that_resolves_again_keeps_its_ticket(world: World) -> None:
    await mended(world)
    await world.elapse(60)
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    await world.elapse(60)
    assert len(await world.told(events.PostmortemWritten)) == 2
    assert len(await world.told(events.TicketOpened)) == 1
    assert world.tracker.made == 1


async def test_observing_and_minor_incidents_leave_no_records(world: World) -> None:
    await world.fire("Slow")
    world.clock.advance(60)
    await world.resolve("Slow")
    await world.elapse(60)
    assert {each.status for each in await world.incidents()} == {"resolved"}
    assert world.kept == {}
    assert world.tracker.asked == []


async def test_the_postmortem_tells_of_a_run_that_ended_after_the_alert(world: World) -> None:
    await world.fire()
    await approve(world)
    await world.resolve()
    assert world.kept == {}
    await world.elapse(15)
    (text,) = world.kept.values()
    assert "every verification held" in text
