"""A question between steps: people decide halfway which of the approved steps are done."""

from pathlib import Path

import pytest

from engine.core import events
from engine.core.plan import Plan
from engine.errors import ConflictError, DeniedError, PermanentError
from tests.doubles.scripted import BAD, FAILED, OK
from tests.doubles.world import ONCALL, STRANGER, World, a_world, approve, ended
from tests.doubles.written import RESTART

ASKING = RESTART.replace(
    """    timeout: 60s
    rollback: none
""",
    """    timeout: 60s
    rollback:
      - {id: undo, uses: lab.mend, with: {what: undo, host: '${{ params.host }}'}}
  - id: further
    ask: {question: 'Was it enough for ${{ params.host }}?', choices: [yes_, no_], expires: 15m}
  - id: warm
    if: steps.further.answer == "no_"
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    rollback: none
""",
)


async def asked(world: World) -> str:
    """Until the question is asked, after the first change; the run's id."""
    world.mend.will("restart", OK)
    await world.fire()
    await approve(world)
    incident = await world.incident()
    assert (incident.phase, world.mend.done("restart")) == ("needs_person", 1)
    return incident.run_id


@pytest.mark.parametrize(("answer", "warmed"), [("yes_", 0), ("no_", 1)])
async def test_the_answer_decides_what_is_done_of_the_approved_plan(
    tmp_path: Path, answer: str, warmed: int
) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        run = await asked(world)
        (question,) = await world.told(events.QuestionAsked)
        assert question.question == "Was it enough for gpu-07?"
        await world.elapse(1)
        assert "Was it enough for gpu-07?" in str(world.notifier.shown[-1][0].lines)
        (planned,) = await world.told(events.RunPlanned)
        what = {step.id: step.description for step in Plan.model_validate_json(planned.plan).steps}
        assert what["further"] == "ask role:oncall: Was it enough for gpu-07? (yes_, no_)"
        world.look.will("serves", OK)
        await world.commands.answer(run, answer, by=ONCALL)
        await world.settle()
        assert world.mend.done("warm") == warmed
        assert len(await world.told(events.ApprovalRequested)) == 1, "the plan is what it was"
        await world.elapse(15)
        assert (await ended(world))[0] == "succeeded"


async def test_while_it_waits_no_worker_is_held(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        await asked(world)
        (question,) = await world.told(events.QuestionAsked)
        (task,) = (await world.tasks("run")).values()
        assert task.not_before == events.moment(question.expires_at)
        assert await world.claim("run") is None


async def test_only_who_is_asked_answers_with_one_of_the_choices(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        run = await asked(world)
        with pytest.raises(DeniedError):
            await world.commands.answer(run, "no_", by=STRANGER)
        with pytest.raises(PermanentError, match="none of the choices"):
            await world.commands.answer(run, "perhaps", by=ONCALL)
        await world.commands.answer(run, "no_", by=ONCALL)
        with pytest.raises(ConflictError, match="answered by"):
            await world.commands.answer(run, "yes_", by=ONCALL, step="further")


async def test_where_nobody_answers_the_step_fails_and_what_was_done_is_undone(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        await asked(world)
        await world.elapse(15 * 60 + 1)
        outcome, reason = await ended(world)
        assert outcome == "failed"
        assert reason == "step further: nobody answered in time; rolled back: restart"
        assert (world.mend.done("undo"), world.mend.done("warm")) == (1, 0)


async def test_a_stop_while_it_waits_is_final(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        run = await asked(world)
        await world.commands.stop("all", by=ONCALL, reason="wrong region")
        await world.settle()
        with pytest.raises(ConflictError, match="has ended"):
            await world.commands.answer(run, "no_", by=ONCALL)
        assert (await ended(world))[0] == "cancelled"
        assert world.mend.done("warm") == 0


async def test_what_is_stopped_between_the_answer_and_the_change_is_not_done(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        run = await asked(world)
        await world.commands.answer(run, "no_", by=ONCALL)
        await world.commands.stop("playbook", "restart", by=ONCALL, reason="wrong region")
        await world.settle()
        assert (await ended(world))[0] == "cancelled"
        assert world.mend.done("warm") == 0


async def test_a_question_after_a_failure_is_not_asked(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ASKING) as world:
        world.mend.will("restart", FAILED)
        world.look.will("serves", BAD)
        await world.fire()
        await approve(world)
        assert await world.told(events.QuestionAsked) == []
        assert (await ended(world))[0] == "failed"
