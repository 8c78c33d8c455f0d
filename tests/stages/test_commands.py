"""What a person orders is checked, journaled, and done once."""

import asyncio
from pathlib import Path

import pytest

from engine.core import events
from engine.core.alert import Alert
from engine.errors import ConflictError, DeniedError, NotFoundError, PermanentError
from engine.ports.commands import By
from tests.doubles.world import ONCALL, STRANGER, World, a_world

ADMIN = By("local:someone", "cli", frozenset({"admin"}))
LATER = By("slack:T1/U2", "slack", frozenset({"oncall"}))


async def asked(world: World) -> tuple[str, str]:
    """The id of a pending request, and the hash of what it asks about."""
    await world.fire()
    row = await world.approval()
    assert row.state == "pending"
    return row.id, row.plan_hash


@pytest.mark.parametrize("by", [ONCALL, ADMIN], ids=["who is asked", "an admin"])
async def test_a_decision_is_journaled_with_who_and_how(world: World, by: By) -> None:
    approval, plan = await asked(world)
    decided = await world.commands.decide(
        approval, "approved", plan_hash=plan, by=by, reason="seen it"
    )
    assert (decided.accepted, decided.sentence) == (True, f"Approved by {by.actor}.")
    assert (decided.approval.state, decided.approval.actor) == ("approved", by.actor)
    (told,) = await world.told(events.ApprovalDecided)
    assert (told.decision, told.via, told.reason) == ("approved", by.via, "seen it")
    incident = await world.incident()
    page = await world.queries.timeline(incident.id)
    actors = {e.actor for e in page.entries if e.kind == told.KIND}
    assert actors == {by.actor}
    assert incident.acknowledged_at == world.clock.at
    assert (await world.claimed("run")).key == incident.run_id


async def test_the_approval_of_another_plan_is_refused(world: World) -> None:
    approval, _ = await asked(world)
    with pytest.raises(ConflictError, match="not the one that was shown"):
        await world.commands.decide(approval, "approved", plan_hash="another", by=ONCALL)
    assert (await world.approval()).state == "pending"
    assert await world.told(events.ApprovalDecided) == []


async def test_who_is_not_asked_decides_nothing(world: World) -> None:
    approval, plan = await asked(world)
    with pytest.raises(DeniedError, match="role:oncall"):
        await world.commands.decide(approval, "approved", plan_hash=plan, by=STRANGER)
    assert (await world.approval()).state == "pending"


async def test_only_the_clock_lets_a_request_expire(world: World) -> None:
    approval, plan = await asked(world)
    with pytest.raises(DeniedError, match="clock"):
        await world.commands.decide(approval, "expired", plan_hash=plan, by=ADMIN)
    assert (await world.approval()).state == "pending"


async def test_an_approval_after_the_expiry_counts_for_nothing(world: World) -> None:
    approval, plan = await asked(world)
    world.clock.advance(600)
    decided = await world.commands.decide(approval, "approved", plan_hash=plan, by=ONCALL)
    assert (decided.accepted, decided.sentence) == (False, "It expired at 12:10:00 UTC.")
    await world.settle()
    assert (await world.approval()).state == "expired"
    assert world.mend.calls == []


async def test_an_approval_of_a_run_that_ended_is_told_so(world: World) -> None:
    approval, plan = await asked(world)
    await world.commands.cancel_run((await world.incident()).run_id, by=LATER)
    await world.settle()
    decided = await world.commands.decide(approval, "approved", plan_hash=plan, by=ONCALL)
    assert (decided.accepted, decided.sentence) == (False, "The run ended already: cancelled.")
    assert await world.told(events.ApprovalDecided) == []


async def test_of_two_decisions_at_once_one_stands(world: World) -> None:
    approval, plan = await asked(world)
    both: tuple[tuple[events.Decision, By], ...] = (("approved", ONCALL), ("rejected", LATER))
    async with asyncio.TaskGroup() as group:
        answers = [
            group.create_task(world.commands.decide(approval, decision, plan_hash=plan, by=by))
            for decision, by in both
        ]
    (stands,) = [each.result() for each in answers if each.result().accepted]
    (late,) = [each.result() for each in answers if not each.result().accepted]
    assert late.approval == stands.approval
    assert late.sentence == f"Already {stands.approval.state} by {stands.approval.actor}."
    assert len(await world.told(events.ApprovalDecided)) == 1


async def test_there_is_nothing_to_decide_on_under_another_id(world: World) -> None:
    with pytest.raises(NotFoundError, match="'nothing'"):
        await world.commands.decide("nothing", "approved", plan_hash="", by=ADMIN)


async def test_a_run_by_hand_is_an_incident_of_its_own_in_approve(world: World) -> None:
    incident = await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=ONCALL)
    assert (incident.rule_id, incident.title) == ("by-hand", "restart by hand")
    (run,) = await world.told(events.RunCreated, "by-hand")
    assert (run.mode, run.mode_decided_by, dict(run.parameters)) == (
        "approve",
        "a run by hand",
        {"host": "gpu-07"},
    )
    page = await world.queries.timeline(incident.id)
    assert {each.actor for each in page.entries} == {ONCALL.actor}
    await world.settle()
    assert (await world.approval("by-hand")).state == "pending"
    assert world.mend.calls == []


async def test_the_same_order_again_is_the_same_incident(world: World) -> None:
    first = await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=ONCALL)
    again = await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=ONCALL)
    world.clock.advance(1)
    later = await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=ONCALL)
    assert again.id == first.id != later.id


async def test_an_order_that_cannot_be_followed_leaves_nothing(world: World) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'restart'"):
        await world.commands.run_playbook("restrat", {}, by=ONCALL)
    with pytest.raises(PermanentError, match="host"):
        await world.commands.run_playbook("restart", {"host": "strange"}, by=ONCALL)
    with pytest.raises(DeniedError, match="oncall or admin"):
        await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=STRANGER)
    assert await world.incidents() == []


async def test_the_first_to_acknowledge_counts(world: World) -> None:
    await world.fire()
    first = await world.commands.acknowledge((await world.incident()).id, by=ONCALL, note="me")
    world.clock.advance(60)
    again = await world.commands.acknowledge(first.id, by=LATER)
    assert first.acknowledged_at == again.acknowledged_at != world.clock.at
    assert [each.note for each in await world.told(events.IncidentAcknowledged)] == ["me", ""]
    with pytest.raises(DeniedError):
        await world.commands.acknowledge(first.id, by=STRANGER)
    with pytest.raises(NotFoundError, match="'nothing'"):
        await world.commands.acknowledge("nothing", by=ONCALL)


async def test_a_cancelled_run_ends_at_once_and_once(world: World) -> None:
    await world.fire()
    run = (await world.incident()).run_id
    with pytest.raises(DeniedError):
        await world.commands.cancel_run(run, by=STRANGER)
    await world.commands.cancel_run(run, by=ONCALL, reason="drill")
    await world.settle()
    (end,) = await world.told(events.RunEnded)
    assert (end.outcome, end.reason) == ("cancelled", "cancelled by slack:T1/U1: drill")
    with pytest.raises(ConflictError, match="ended already: cancelled"):
        await world.commands.cancel_run(run, by=ONCALL)
    with pytest.raises(NotFoundError, match="'nothing'"):
        await world.commands.cancel_run("nothing", by=ONCALL)


async def test_an_order_names_the_catalog_that_it_was_given_under(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        alert: Alert = world.alert()
        await world.send(alert)
        incident = await world.commands.acknowledge((await world.incident()).id, by=ONCALL)
        entry = (await world.queries.timeline(incident.id)).entries[-1]
        assert entry.catalog == world.catalogs.active.version


async def test_a_stop_is_journaled_with_who_how_and_why_and_the_first_one_stands(
    world: World,
) -> None:
    first = await world.commands.stop("rule", "down", by=ONCALL, reason="too many")
    again = await world.commands.stop("rule", "down", by=ADMIN, reason="me too")
    assert again == first
    ((scope, name, actor, reason),) = [(s.scope, s.name, s.actor, s.reason) for s in first]
    assert (scope, name, actor, reason) == ("rule", "down", ONCALL.actor, "too many")
    assert await world.commands.resume("rule", "down", by=ADMIN, reason="over") == []
    entries = await world.store.read(lambda tx: tx.entries("access"))
    assert [(entry.actor, entry.event()) for entry in entries] == [
        (
            ONCALL.actor,
            events.StopOrdered(scope="rule", name="down", reason="too many", via="slack"),
        ),
        (ADMIN.actor, events.StopLifted(scope="rule", name="down", reason="over", via="cli")),
    ]
    assert {entry.catalog for entry in entries} == {world.catalogs.active.version}


async def test_a_stop_or_resume_that_would_do_nothing_is_refused(world: World) -> None:
    with pytest.raises(NotFoundError, match=r"no rule 'dwon', did you mean 'down'"):
        await world.commands.stop("rule", "dwon", by=ONCALL, reason="x")
    with pytest.raises(NotFoundError, match="no playbook 'down'"):
        await world.commands.stop("playbook", "down", by=ONCALL, reason="x")
    with pytest.raises(DeniedError, match="oncall or admin"):
        await world.commands.stop("all", by=STRANGER, reason="x")
    await world.commands.stop("rule", "down", by=ONCALL, reason="x")
    with pytest.raises(NotFoundError, match="everything isn't stopped; what is: rule 'down'"):
        await world.commands.resume("all", by=ONCALL)
    with pytest.raises(DeniedError, match="oncall or admin"):
        await world.commands.resume("rule", "down", by=STRANGER)
    assert len(await world.queries.stops()) == 1


async def test_a_stop_wakes_the_runs_that_it_covers_and_no_other(world: World) -> None:
    await world.fire()
    await world.fire(instance="gpu-08:9100")
    await world.commands.run_playbook("restart", {"host": "gpu-07"}, by=ONCALL)
    await world.settle()
    await world.commands.stop("rule", "down", by=ONCALL, reason="x")
    covered = {each.run_id for each in await world.incidents() if each.rule_id == "down"}
    assert len(covered) == 2
    due = {t.key for t in (await world.tasks("run")).values() if t.not_before <= world.clock.at}
    assert due == covered


@pytest.mark.parametrize("way", ["run", "prefix", "incident", "number"])
async def test_a_run_is_cancelled_by_any_name_of_it_and_only_once(world: World, way: str) -> None:
    await world.fire()
    incident = await world.incident()
    run = incident.run_id
    name = {"run": run, "prefix": run[:9], "incident": incident.id, "number": incident.name}[way]
    await world.commands.cancel_run(name, by=ONCALL)
    with pytest.raises(ConflictError, match="being cancelled already"):
        await world.commands.cancel_run(name, by=ONCALL)
    await world.settle()
    (end,) = await world.told(events.RunEnded)
    assert end.run_id == run
