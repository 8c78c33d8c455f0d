"""A dry run, whole: what only reads is done, and nothing is changed, asked, told or reserved."""

from dataclasses import dataclass
from pathlib import Path

from engine.core import events
from tests.doubles.scripted import BAD
from tests.doubles.world import ONCALL, World, a_world, approve
from tests.doubles.written import RESTART

CHANGES = (events.AttemptIntended, events.ApprovalRequested, events.QuestionAsked)
ASKS_FIRST = RESTART.replace(
    "steps:\n",
    """  - id: which
    ask: {question: 'What is it?', choices: [slow, dead], expires: 15m}
  - id: more
    uses: lab.look
    with: {what: '${{ steps.which.answer }}', host: '${{ params.host }}'}
steps:
  - id: note
    uses: lab.mend
    with: {what: '${{ steps.which.answer }}', host: '${{ params.host }}'}
    timeout: 60s
    rollback: none
""",
    1,
)


@dataclass(frozen=True)
class Dry:
    """What a dry run looked at, the plan that it made, and what it says would come next."""

    looks: list[events.StepObserved]
    plan: events.RunPlanned
    why: str


async def dry_run(world: World) -> Dry:
    """One ordered and followed to its end."""
    ordered = await world.commands.run_playbook(
        "restart", {"host": "gpu-07"}, by=ONCALL, dry_run=True
    )
    made, shown = len(world.mend.calls), len(world.notifier.shown)
    await world.settle()
    await world.settle("message")
    assert (len(world.mend.calls), len(world.notifier.shown)) == (made, shown)
    incident = await world.queries.incident(ordered.id)
    assert (incident.status, incident.phase) == ("resolved", "idle")
    story = await world.story(incident)
    assert not [each for each in story if isinstance(each, CHANGES)]
    (plan,) = [each for each in story if isinstance(each, events.RunPlanned)]
    (end,) = [each for each in story if isinstance(each, events.RunEnded)]
    assert (end.outcome, end.changed, end.by_guard) == ("skipped", False, "")
    said, _, why = end.reason.partition("; ")
    assert said == "dry run, nothing was changed"
    return Dry([each for each in story if isinstance(each, events.StepObserved)], plan, why)


async def test_what_only_reads_is_done_and_the_rest_is_planned(world: World) -> None:
    dry = await dry_run(world)
    assert [(each.phase, each.step_id, each.holds) for each in dry.looks] == [
        ("investigate", "state", None),
        ("precheck", "serves", False),
    ]
    assert (dry.plan.mode, dry.plan.mode_decided_by) == ("observe", "a dry run")
    assert dry.plan.holes == ()
    assert dry.why == "it would ask role:oncall to approve"


async def test_it_says_what_would_hold_it_back_and_holds_nobody_back(tmp_path: Path) -> None:
    spent = RESTART.replace("approval:", "guards: {cooldown: {for: 1h}}\napproval:")
    async with a_world(tmp_path, playbook=spent) as world:
        await dry_run(world)
        await world.fire()
        await approve(world)
        await world.elapse(15)
        assert world.mend.done("restart") == 1, "the dry run has used up nothing"
        world.look.will("serves", BAD)
        assert (await dry_run(world)).why.startswith("it would be skipped now: restart")


async def test_nobody_is_asked_and_what_follows_from_an_answer_is_a_hole(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ASKS_FIRST) as world:
        dry = await dry_run(world)
        (hole,) = dry.plan.holes
        assert hole.startswith("step note: ")
        assert {each.step_id: each.outcome for each in dry.looks}["more"] == "failed"


async def test_what_may_never_change_anything_says_who_decided_that(tmp_path: Path) -> None:
    never = RESTART.replace("max_mode: auto", "max_mode: observe")
    async with a_world(tmp_path, playbook=never) as world:
        told = (await dry_run(world)).why
        assert told == "it would change nothing either, as playbook restart (max_mode) says"
