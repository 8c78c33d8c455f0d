"""An entry, its projection and the work that follows from it are one transaction."""

import pytest

from engine.core import events
from engine.core.incident import REOPEN_WITHIN, Incident
from engine.errors import ConflictError
from engine.ports.known_secrets import KNOWN
from engine.ports.recording import MESSAGE_DELAY, Author, open_incident, record
from engine.ports.store import Tx
from tests.doubles.runs import created
from tests.doubles.world import World

OPENED = events.IncidentOpened(
    incident_id="one",
    number=1,
    correlation_key="key",
    partition_key="llm",
    rule_id="down",
    severity="P2",
    title="down",
    mode="approve",
    notify=("team",),
    postmortem=True,
)
CREATED = created(run_id="run")
ENDED = events.RunEnded(run_id="run", outcome="succeeded", reason="it holds")
RESOLVED = events.IncidentResolved()
AUTHOR = Author(actor="local:test", catalog="v1")


async def written(
    world: World, *story: events.Event, opened: events.IncidentOpened = OPENED
) -> Incident:
    def work(tx: Tx) -> Incident:
        return record(tx, open_incident(tx, opened, AUTHOR), story, AUTHOR)

    return await world.store.write(work)


async def test_each_entry_names_its_author_and_catalog(world: World) -> None:
    incident = await written(world, CREATED)
    entries = (await world.queries.timeline(incident.id)).entries
    assert [each.kind for each in entries] == ["incident.opened@1", "run.created@1"]
    assert {(each.actor, each.catalog) for each in entries} == {("local:test", "v1")}
    assert await world.queries.incident("one") == incident


async def test_a_run_is_a_row_and_a_task_as_urgent_as_the_incident(world: World) -> None:
    await written(world, CREATED)
    row = await world.store.read(lambda tx: tx.run("run"))
    assert row is not None
    assert (row.incident_id, row.phase, row.outcome) == ("one", "active", "")
    task = (await world.tasks("run"))["run/run"]
    assert (task.priority, task.payload["incident_id"]) == (2, "one")
    await world.store.write(lambda tx: record(tx, _incident(tx), [ENDED], AUTHOR))
    row = await world.store.read(lambda tx: tx.run("run"))
    assert row is not None
    assert (row.phase, row.outcome, row.ended_at) == ("ended", "succeeded", world.clock.at)


def _incident(tx: Tx) -> Incident:
    incident = tx.incident("one")
    assert incident is not None
    return incident


async def test_news_are_gathered_into_one_message(world: World) -> None:
    await written(world, CREATED)
    task = (await world.tasks("message"))["message/one"]
    assert task.not_before == world.clock.at + MESSAGE_DELAY


@pytest.mark.parametrize(
    "opened",
    [
        OPENED.model_copy(update={"mode": "observe"}),
        OPENED.model_copy(update={"notify": ()}),
    ],
    ids=["observe tells nobody", "a rule that names nobody"],
)
async def test_nobody_is_told(world: World, opened: events.IncidentOpened) -> None:
    await written(world, CREATED, opened=opened)
    assert await world.tasks("message") == {}


async def test_a_resolved_incident_gets_its_postmortem_and_closes_later(world: World) -> None:
    await written(world, RESOLVED)
    tasks = await world.tasks()
    assert tasks["tick/incident_close/one"].not_before == world.clock.at + REOPEN_WITHIN
    assert "postmortem/one" in tasks


@pytest.mark.parametrize(
    ("story", "wanted"),
    [
        ([CREATED, RESOLVED], False),
        ([CREATED, RESOLVED, ENDED], True),
        ([CREATED, ENDED, RESOLVED], True),
        ([CREATED, ENDED], False),
    ],
    ids=["run under way", "run ended after it", "run ended before it", "not resolved"],
)
async def test_a_postmortem_waits_for_the_run(
    world: World, story: list[events.Event], *, wanted: bool
) -> None:
    await written(world, *story)
    assert bool(await world.tasks("postmortem")) is wanted


async def test_a_rule_without_postmortems_gets_none(world: World) -> None:
    await written(world, RESOLVED, opened=OPENED.model_copy(update={"postmortem": False}))
    assert await world.tasks("postmortem") == {}


async def test_a_written_postmortem_wants_its_ticket(world: World) -> None:
    await written(world, events.PostmortemWritten(path="p", sha256="h"))
    assert list(await world.tasks("ticket")) == ["ticket/one"]


async def test_a_request_for_approval_expires_once(world: World) -> None:
    asked = events.ApprovalRequested(
        run_id="run",
        approval_id="a",
        plan_hash="h",
        ask=("role:oncall",),
        quorum=1,
        expires_at="2026-03-01T12:10:00+00:00",
    )
    expired = events.ApprovalDecided(
        run_id="run", approval_id="a", plan_hash="h", decision="expired", via="clock"
    )
    await written(world, CREATED, asked)
    row = await world.queries.approval("one")
    assert (row.state, row.ask, row.run_id) == ("pending", ("role:oncall",), "run")
    await world.store.write(lambda tx: record(tx, _incident(tx), [expired], AUTHOR))
    assert (await world.queries.approval("one")).state == "expired"


async def test_nothing_of_a_refused_transaction_stays(world: World) -> None:
    await written(world)
    with pytest.raises(ConflictError):
        await written(world, CREATED, opened=OPENED.model_copy(update={"incident_id": "two"}))
    assert [each.id for each in await world.incidents()] == ["one"]
    assert await world.tasks("run") == {}
    assert (await world.queries.verify_audit()).faults == ()


async def test_a_story_without_entries_writes_nothing(world: World) -> None:
    incident = await written(world)
    after = await world.store.write(lambda tx: record(tx, incident, [], AUTHOR))
    assert after is incident
    assert len((await world.queries.timeline("one")).entries) == 1


async def test_no_projection_holds_what_the_journal_does_not(world: World) -> None:
    KNOWN.keep("token", "tok-en-1234")
    opened = OPENED.model_copy(update={"title": "refused tok-en-1234", "team": "tok-en-1234"})
    incident = await written(world, opened=opened)
    assert (incident.title, incident.team) == ("refused [masked]", "[masked]")
    assert await world.queries.incident("one") == incident
    (entry,) = (await world.queries.timeline("one")).entries
    assert entry.event() == opened.model_copy(
        update={"title": "refused [masked]", "team": "[masked]"}
    )
