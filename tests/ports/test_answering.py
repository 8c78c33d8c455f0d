"""Who may answer what a run asks, and when."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.core import events
from engine.errors import ConflictError, DeniedError, PermanentError
from tests.doubles.scripted import OK
from tests.doubles.world import ONCALL, STRANGER, World, a_world, approve, ended
from tests.doubles.written import RESTART

ASKING = RESTART.replace(
    "investigate:\n",
    """investigate:
  - id: which
    ask: {question: 'Restart which of ${{ params.host }}?', choices: [restart, reload]}
""",
).replace("what: restart, host", "what: '${{ steps.which.answer }}', host")


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, playbook=ASKING) as world:
        await world.fire()
        yield world


async def say(world: World, choice: str, *, by: object = ONCALL, step: str = "") -> None:
    run = (await world.incident()).run_id
    await world.commands.answer(run, choice, by=by, step=step)  # type: ignore[arg-type]
    await world.settle()


async def test_what_is_done_follows_from_the_answer(asked: World) -> None:
    (question,) = await asked.told(events.QuestionAsked)
    assert question.question == "Restart which of gpu-07?"
    assert await asked.told(events.RunPlanned) == []
    assert (await asked.incident()).phase == "needs_person"
    await say(asked, "reload")
    await approve(asked)
    assert [what for what, _ in asked.mend.calls] == ["reload"]
    assert (await asked.incident()).acknowledged_at is not None


@pytest.mark.parametrize(
    ("choice", "step", "by", "error", "says"),
    [
        pytest.param("drop", "", ONCALL, PermanentError, "none of the choices", id="choice"),
        pytest.param("reload", "", STRANGER, DeniedError, "none of role:oncall", id="stranger"),
        pytest.param("reload", "other", ONCALL, ConflictError, "which, not other", id="step"),
    ],
)
async def test_what_is_no_answer_changes_nothing(
    asked: World, choice: str, step: str, by: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await say(asked, choice, by=by, step=step)
    assert await asked.told(events.QuestionAnswered) == []


async def test_the_first_answer_stands_and_is_told(asked: World) -> None:
    await say(asked, "reload")
    with pytest.raises(ConflictError, match=f"which was answered by {ONCALL.actor}: reload"):
        await say(asked, "restart", step="which")
    with pytest.raises(ConflictError, match="asks now: nothing"):
        await say(asked, "restart")


async def test_after_its_time_nothing_is_answered(asked: World) -> None:
    asked.clock.advance(15 * 60)
    run = (await asked.incident()).run_id
    with pytest.raises(ConflictError, match="expired at"):
        await asked.commands.answer(run, "reload", by=ONCALL)
    await asked.settle()
    assert (await ended(asked))[0] == "expired"
    with pytest.raises(ConflictError, match="has ended"):
        await asked.commands.answer(run, "reload", by=ONCALL)


async def test_an_answer_survives_a_look_that_finds_it_mended(asked: World) -> None:
    asked.look.will("serves", OK)
    await say(asked, "restart")
    assert (await ended(asked))[0] == "not_needed"
