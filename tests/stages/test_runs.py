"""A run from its first look to its end: every change is intended before it is made."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from engine.core import events
from engine.core.actions import Call, Repeat, Result
from engine.core.events.event import EVIDENCE_LIMIT
from engine.core.json_value import JsonObject
from engine.core.plan import plan_hash
from engine.core.reporting import OUTPUT_LIMIT, not_after
from engine.core.severity import Mode
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.stages.runs import LOOK_WITHIN_S
from tests.doubles.scripted import BAD, FAILED, OK
from tests.doubles.world import LEASE_S, ONCALL, World, a_world, approve, ended, mending
from tests.doubles.written import MORE_STEPS, RESTART, RULES, a_catalog, keep_texts


async def kinds(world: World) -> list[str]:
    """The run's story without the looks."""
    story = await world.story(await world.incident())
    quiet = ("step.observed@1", "message.sent@1")
    started = [each.KIND for each in story].index("run.created@1")
    return [each.KIND for each in story[started:] if each.KIND not in quiet]


async def test_a_run_with_approval_from_the_first_look_to_the_verified_end(world: World) -> None:
    await world.fire()
    assert (await world.incident()).phase == "awaiting_approval"
    assert world.mend.calls == []
    looks = await world.told(events.StepObserved)
    assert [(each.phase, each.step_id, each.holds) for each in looks] == [
        ("investigate", "state", None),
        ("precheck", "serves", False),
    ]
    await approve(world)
    assert (await world.incident()).phase == "verifying"
    await world.elapse(15)
    assert await ended(world) == ("succeeded", "every verification held")
    assert await kinds(world) == [
        "run.created@1",
        "run.planned@1",
        "still_firing.asked@1",
        "approval.requested@1",
        "approval.decided@1",
        "attempt.intended@1",
        "attempt.ended@1",
        "verification.started@1",
        "verification.ended@1",
        "run.ended@1",
    ]
    incident = await world.incident()
    assert (incident.phase, incident.outcome) == ("idle", "succeeded")
    assert incident.mitigated_at is not None
    assert world.mend.done("restart") == 1
    assert await world.tasks("run") == {}


async def test_the_intent_is_readable_before_the_change_begins(world: World) -> None:
    seen: list[events.AttemptIntended] = []

    async def restart(call: Call) -> Result:
        seen.extend(await world.told(events.AttemptIntended))
        assert [each.attempt_id for each in seen] == [call.attempt_id]
        return await mending(world)(call)

    world.mend.will("restart", restart)
    await world.fire()
    await approve(world)
    (intent,) = seen
    assert events.moment(intent.not_after) == not_after(world.clock.at, 60)
    assert (intent.number, intent.effect, intent.targets) == (1, "change", ("gpu-07",))
    assert (intent.description, intent.before) == ("gpu-07$ restart", {"started": "1"})
    (end,) = await world.told(events.AttemptEnded)
    assert (end.attempt_id, end.outcome, end.begun) == (intent.attempt_id, "succeeded", True)


async def test_the_stored_plan_is_what_the_hash_covers(world: World) -> None:
    await world.fire()
    (planned,) = await world.told(events.RunPlanned)
    (asked,) = await world.told(events.ApprovalRequested)
    assert plan_hash(planned.plan.encode()) == planned.plan_hash == asked.plan_hash
    assert (planned.mode, planned.holes) == ("approve", ())
    assert events.moment(asked.expires_at) == world.clock.at + timedelta(minutes=10)


async def test_in_auto_nobody_is_asked(tmp_path: Path) -> None:
    async with a_world(tmp_path, mode="auto") as world:
        await world.fire()
        assert await world.told(events.ApprovalRequested) == []
        assert world.mend.done("restart") == 1


async def test_in_observe_only_the_plan_is_made(tmp_path: Path) -> None:
    rules = (
        "language: 1\nrules:\n  - {id: down, description: d, matchers: ['alertname=\"Down\"'], "
        "severity: P1, mode: observe, playbook: restart, with: {host: '${{ alert.target }}'}}\n"
    )
    async with a_world(tmp_path, rules=rules) as world:
        await world.fire()
        assert await kinds(world) == ["run.created@1", "run.planned@1", "run.ended@1"]
        assert (await ended(world))[0] == "skipped"
        assert world.look.calls == world.mend.calls == []
        assert world.notifier.shown == []
        assert (await world.incident()).mode is Mode.OBSERVE


async def test_what_holds_already_needs_nothing(world: World) -> None:
    world.look.will("serves", OK)
    await world.fire()
    assert (await ended(world))[0] == "not_needed"
    assert world.mend.calls == []


async def test_a_rejected_plan_changes_nothing(world: World) -> None:
    await world.fire()
    row = await world.approval()
    await world.commands.decide(
        row.id, "rejected", plan_hash=row.plan_hash, by=ONCALL, reason="too early"
    )
    await world.settle()
    assert await ended(world) == ("cancelled", "rejected by slack:T1/U1: too early")
    assert (await world.incident()).phase == "needs_person"
    assert world.mend.calls == []


async def test_a_request_that_nobody_answers_expires(world: World) -> None:
    await world.fire()
    await world.elapse(10 * 60 + 1)
    assert (await ended(world))[0] == "expired"
    assert (await world.approval()).state == "expired"
    assert world.mend.calls == []


async def test_a_cancellation_between_approval_and_intent_stops_the_change(world: World) -> None:
    await world.fire()
    run = (await world.incident()).run_id

    async def look(_: Call) -> JsonObject:
        await world.commands.cancel_run(run, by=ONCALL, reason="stop")
        return {}

    world.mend.looks = [look]
    await approve(world)
    assert await ended(world) == ("cancelled", "cancelled by slack:T1/U1: stop")
    assert await world.told(events.AttemptIntended) == []
    assert world.mend.calls == []


async def test_a_resolution_between_approval_and_intent_stops_the_change(world: World) -> None:
    await world.fire()

    async def look(_: Call) -> JsonObject:
        world.clock.advance(1)
        await world.intake.accept("alertmanager", [world.alert(status="resolved")], 0)
        await world.consume()
        return {}

    world.mend.looks = [look]
    await approve(world)
    assert (await ended(world))[0] == "skipped"
    assert world.mend.calls == []


@pytest.mark.parametrize(
    ("looks", "prechecks"),
    [([1], 1), ([20], 1), ([55, 1], 2)],
    ids=["quick", "slow host", "over its bound, then quick"],
)
async def test_a_precheck_that_became_old_is_made_anew(
    world: World, looks: list[int], prechecks: int
) -> None:
    await world.fire()
    row = await world.approval()
    await world.commands.decide(row.id, "approved", plan_hash=row.plan_hash, by=ONCALL)
    task = await world.claimed("run")

    async def look(call: Call) -> JsonObject:
        assert call.timeout_s == LOOK_WITHIN_S
        for _ in range(looks.pop(0)):
            world.clock.advance(1)
            await world.store.write(lambda tx: tx.hold_task(task, LEASE_S))
        return {}

    world.mend.looks = [look]
    await world.runs.advance(task)
    phases = [each.phase for each in await world.told(events.StepObserved)]
    assert phases.count("precheck") == prechecks
    assert world.mend.done("restart") == 1


async def test_an_approval_that_the_store_does_not_have_changes_nothing(world: World) -> None:
    await world.fire()

    async def look(_: Call) -> JsonObject:
        with closing(sqlite3.connect(world.folder / "quell.db")) as connection:
            connection.execute("UPDATE approvals SET plan_hash = 'another'")
            connection.commit()
        return {}

    world.mend.looks = [look]
    with pytest.raises(PermanentError, match="no approval of its plan"):
        await approve(world)
    assert await world.told(events.AttemptIntended) == []
    assert world.mend.calls == []


async def test_without_the_state_before_nothing_is_changed(world: World) -> None:
    world.mend.looks = [TransientError("no route to the host")]
    await world.fire()
    await approve(world)
    outcome, reason = await ended(world)
    assert outcome == "failed"
    assert "no route to the host" in reason
    assert world.mend.calls == []
    (attempt,) = await world.told(events.AttemptEnded)
    assert (attempt.outcome, attempt.begun) == ("failed", False)


# An attempt's end, as it is journaled, and what follows from it.
ENDS: dict[str, tuple[Result | Exception, tuple[str, bool], str]] = {
    "a bad exit code is a failure": (FAILED, ("failed", True), "failed"),
    "known not to have begun": (PermanentError("refused"), ("failed", False), "failed"),
    "perhaps tried again later": (TransientError("refused"), ("failed", False), "failed"),
    "it may have happened": (OutcomeUnknownError("cut off"), ("unknown", True), "unknown"),
}


@pytest.mark.parametrize(("end", "attempt", "outcome"), ENDS.values(), ids=ENDS)
async def test_each_end_of_an_attempt_is_journaled_as_what_it_is(
    world: World, end: Result | Exception, attempt: tuple[str, bool], outcome: str
) -> None:
    world.mend.repeat = Repeat.NEVER
    world.mend.will("restart", end)
    await world.fire()
    await approve(world)
    (told,) = await world.told(events.AttemptEnded)
    assert (told.outcome, told.begun) == attempt
    assert told.error in ("exit code 1", "refused", "cut off")
    await world.elapse(150 if told.outcome == "unknown" else 0)
    assert (await ended(world))[0] == outcome
    assert world.mend.done("restart") == 1
    assert (await world.incident()).phase == "needs_person"


async def test_a_failed_step_is_rolled_back_in_the_plans_words(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.will("restart", OK)
        world.mend.will("warm", FAILED)
        await world.fire()
        await approve(world)
        assert [what for what, _ in world.mend.calls] == ["restart", "warm", "undo"]
        assert await ended(world) == ("failed", "step warm: exit code 1; rolled back: restart")


async def test_without_the_state_before_what_was_done_is_rolled_back(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.mend.will("restart", OK)
        world.mend.looks = [{}, PermanentError("no such unit"), {}]
        await world.fire()
        await approve(world)
        assert [what for what, _ in world.mend.calls] == ["restart", "undo"]
        assert (await ended(world))[0] == "failed"


async def test_a_step_whose_if_is_false_is_skipped(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=MORE_STEPS) as world:
        world.look.will("state", BAD)
        await world.fire()
        await approve(world)
        await world.elapse(15)
        assert world.mend.done("warm") == 0
        (skipped,) = await world.told(events.StepSkipped)
        assert (skipped.step_id, skipped.reason) == ("warm", "steps.state.ok is false")
        assert (await ended(world))[0] == "succeeded"


async def test_a_verification_that_never_holds_fails_the_run(world: World) -> None:
    world.mend.will("restart", OK)
    await world.fire()
    await approve(world)
    await world.elapse(6 * 60)
    assert await ended(world) == (
        "failed",
        "serves did not hold within 300 s; what stays as it is: restart",
    )
    assert (await world.incident()).phase == "needs_person"
    assert (await world.incident()).mitigated_at is None


async def test_evidence_that_could_not_be_had_stops_nothing(world: World) -> None:
    world.look.will("state", TransientError("no route"))
    await world.fire()
    first = (await world.told(events.StepObserved))[0]
    assert (first.step_id, first.outcome, first.error) == ("state", "failed", "no route")
    assert (await world.incident()).phase == "awaiting_approval"


async def test_evidence_that_is_required_stops_the_run_before_any_question(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=RESTART.replace("    required: false\n", "")) as world:
        world.look.will("state", PermanentError("no such host"))
        await world.fire()
        assert await ended(world) == ("failed", "investigation state failed: no such host")
        assert await world.told(events.ApprovalRequested) == []


async def test_what_goes_into_the_journal_is_bounded(world: World) -> None:
    world.look.will("state", Result(True, {"ok": True, "text": "x" * 99_999}, "y" * 99_999))
    world.mend.will("restart", Result(True, {"ok": True, "text": "x" * 99_999}, "y" * 99_999))
    await world.fire()
    await approve(world)
    look = (await world.told(events.StepObserved))[0]
    (attempt,) = await world.told(events.AttemptEnded)
    for told in (look, attempt):
        assert len(str(told.outputs["text"])) == OUTPUT_LIMIT
        assert told.outputs["ok"] is True
        assert len(told.evidence) == EVIDENCE_LIMIT


async def test_a_state_before_that_cannot_be_kept_stops_the_change(world: World) -> None:
    world.mend.looks = [{"all": "x" * 99_999}]
    await world.fire()
    await approve(world)
    (attempt,) = await world.told(events.AttemptEnded)
    assert (attempt.begun, attempt.outcome) == (False, "failed")
    assert "the state before could not be read: it takes" in attempt.error
    assert world.mend.calls == []


async def test_a_run_goes_on_with_the_text_that_it_began_with(world: World) -> None:
    await world.fire()
    changed = a_catalog(
        world.folder / "later",
        RULES.replace("%s", "approve"),
        RESTART.replace("stable_for: 10s", "stable_for: 1m"),
    )
    await world.store.write(lambda tx: keep_texts(tx, changed.active))
    world.catalogs.active = changed.active
    await approve(world)
    await world.elapse(15)
    assert (await ended(world))[0] == "succeeded"


async def test_a_run_by_hand_ends_with_its_incident(world: World) -> None:
    by_hand = await world.commands.run_playbook("restart", {"host": "gpu-08"}, by=ONCALL)
    await world.settle()
    await approve(world, "by-hand")
    await world.elapse(15)
    incident = await world.queries.incident(by_hand.id)
    assert (incident.outcome, incident.status) == ("succeeded", "resolved")
    assert [call.prepared.targets for _, call in world.mend.calls] == [("gpu-08",)]


async def test_ended_attempts_and_runs_are_counted(world: World) -> None:
    await world.fire()
    await approve(world)
    await world.elapse(15)
    text = world.metrics.text().decode()
    assert 'quell_attempts_ended_total{outcome="succeeded"} 1.0' in text
    assert 'quell_runs_ended_total{outcome="succeeded"} 1.0' in text
