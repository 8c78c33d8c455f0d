"""The words of a playbook's flow, from the text to what was done."""

from collections.abc import Sequence
from pathlib import Path

from engine.core import events
from engine.core.plan import Plan, PlannedStep
from tests.doubles.scripted import BAD, FAILED, OK
from tests.doubles.world import ONCALL, World, a_world, approve, ended, mending, what_was_done
from tests.doubles.written import CALLED, CALLER, RESTART, RULES

WAITING = RESTART.replace(
    """    rollback: none
""",
    """    rollback: none
  - {id: settle, wait: 90s}
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    if: steps.settle.outcome == "succeeded"
    rollback: none
""",
)


async def planned(world: World) -> Sequence[PlannedStep]:
    """The steps of the only plan."""
    (event,) = await world.told(events.RunPlanned)
    return Plan.model_validate_json(event.plan).steps


async def test_a_wait_is_a_row_with_a_time_and_holds_no_worker(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=WAITING) as world:
        world.mend.will("restart", OK)
        await world.fire()
        assert "wait 1m30s" in [step.description for step in await planned(world)]
        await approve(world)
        (waiting,) = await world.told(events.StepWaiting)
        (task,) = (await world.tasks("run")).values()
        assert task.not_before == events.moment(waiting.until)
        assert await world.claim("run") is None
        await world.elapse(89)
        assert world.mend.done("warm") == 0
        await world.elapse(1)
        assert world.mend.done("warm") == 1


SETTLING = RESTART.replace(
    """    rollback: none
""",
    """    rollback: none
  - id: settled
    uses: lab.look
    with: {what: settled, host: '${{ params.host }}'}
    until: result.ok
    within: 1m
    every: 10s
  - id: warm
    uses: lab.mend
    with: {what: warm, host: '${{ params.host }}'}
    rollback: none
""",
)


async def test_a_change_waits_until_the_step_before_it_holds(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=SETTLING) as world:
        world.look.will("settled", FAILED, BAD, OK)
        await world.fire()
        await approve(world)
        await world.elapse(19)
        assert world.mend.done("warm") == 0
        await world.elapse(1)
        assert world.mend.done("warm") == 1
        assert world.look.done("settled") == 3


async def test_a_step_that_does_not_hold_in_time_has_failed(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=SETTLING) as world:
        world.look.will("settled", BAD)
        await world.fire()
        await approve(world)
        await world.elapse(70)
        assert (await ended(world))[0] == "partial"
        assert world.mend.done("warm") == 0


async def test_a_cancellation_ends_a_wait_at_once(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=WAITING) as world:
        await world.fire()
        await approve(world)
        await world.commands.cancel_run((await world.incident()).run_id, by=ONCALL)
        await world.settle()
        assert (await ended(world))[0] == "cancelled"
        assert world.mend.done("warm") == 0


ROLLING = RESTART.replace(
    RESTART[RESTART.index("steps:") : RESTART.index("verify:")],
    """steps:
  - id: each
    foreach: {in: [gpu-07, gpu-08], as: node, serial: 1, stop_after_failures: 2}
    steps:
      - id: drain
        uses: lab.mend
        with: {what: drain, host: '${{ node }}'}
        rollback:
          - {id: undrain, uses: lab.mend, with: {what: undrain, host: '${{ node }}'}}
      - id: look
        uses: lab.look
        with: {what: look, host: '${{ node }}'}
      - id: restart
        uses: lab.mend
        with: {what: restart, host: '${{ node }}'}
        if: steps.look.ok && node != ""
        rollback: none
""",
)


async def test_a_loop_is_spread_out_in_the_plan_and_each_item_sees_its_own_steps(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, playbook=ROLLING) as world:
        world.look.will("look", BAD, OK)
        await world.fire()
        assert [(step.id, step.targets) for step in await planned(world)] == [
            ("drain[gpu-07]", ("gpu-07",)),
            ("look[gpu-07]", ("gpu-07",)),
            ("restart[gpu-07]", ("gpu-07",)),
            ("drain[gpu-08]", ("gpu-08",)),
            ("look[gpu-08]", ("gpu-08",)),
            ("restart[gpu-08]", ("gpu-08",)),
            ("serves", ("gpu-07",)),
            ("undrain[gpu-07]", ("gpu-07",)),
            ("undrain[gpu-08]", ("gpu-08",)),
        ]
        await approve(world)
        await world.elapse(15)
        assert (await ended(world))[0] == "succeeded"
        (skipped,) = await world.told(events.StepSkipped)
        assert skipped.step_id == "restart[gpu-07]"
        assert what_was_done(world) == ["drain gpu-07", "drain gpu-08", "restart gpu-08"]


async def test_an_item_that_failed_is_left_as_it_is_and_a_person_is_told(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ROLLING) as world:
        world.mend.will("drain", FAILED, OK)
        await world.fire()
        await approve(world)
        await world.elapse(15)
        outcome, reason = await ended(world)
        assert outcome == "partial"
        assert reason.endswith("not everything was done: drain[gpu-07]: exit code 1")
        assert what_was_done(world) == ["drain gpu-07", "drain gpu-08", "restart gpu-08"]


async def test_a_loop_that_ends_is_undone_item_by_item_in_reverse(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=ROLLING) as world:
        world.mend.will("restart", FAILED)
        await world.fire()
        await approve(world)
        assert (await ended(world))[0] == "failed"
        assert what_was_done(world)[-2:] == ["undrain gpu-08", "undrain gpu-07"]


GIVEN = ROLLING.replace("in: [gpu-07, gpu-08]", "in: '${{ params.nodes }}'").replace(
    "  host: {type: target, kind: host}\n",
    "  host: {type: target, kind: host}\n"
    "  nodes: {type: list, items: {type: target, kind: host}, max_items: 2}\n",
)


async def test_a_loop_goes_through_the_list_that_it_was_given(tmp_path: Path) -> None:
    given = "{host: '${{ alert.target }}', nodes: ['${{ alert.target }}', gpu-08]}"
    rules = RULES.replace("{host: '${{ alert.target }}'}", given)
    async with a_world(tmp_path, playbook=GIVEN, rules=rules) as world:
        world.look.will("look", OK)
        await world.fire()
        await approve(world)
        await world.elapse(15)
        assert (await ended(world))[0] == "succeeded"
        assert [each for each in what_was_done(world) if each.startswith("restart")] == [
            "restart gpu-07",
            "restart gpu-08",
        ]


async def test_a_called_playbook_is_done_and_proven_where_it_is_called(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=(CALLER, CALLED)) as world:
        world.look.will("state", OK)
        await world.fire()
        assert [(step.phase, step.id, step.targets) for step in await planned(world)] == [
            ("steps", "mend/restart", ("gpu-08",)),
            ("steps", "mend/warm", ("gpu-08",)),
            ("steps", "mend/serves", ("gpu-08",)),
            ("steps", "tell", ("gpu-07",)),
            ("verify", "serves", ("gpu-07",)),
            ("rollback", "mend/undo", ("gpu-08",)),
        ]
        (looked,) = [s for s in await world.told(events.StepObserved) if s.phase == "investigate"]
        assert (looked.step_id, looked.outputs["ok"]) == ("mend/state", True)
        await approve(world)
        assert what_was_done(world) == ["restart gpu-08", "warm gpu-08"]
        await world.elapse(9)
        assert world.mend.done("tell") == 0
        await world.elapse(6)
        assert what_was_done(world) == ["restart gpu-08", "warm gpu-08", "tell gpu-07"]
        await world.elapse(15)
        assert (await ended(world))[0] == "succeeded"


GIVING = CALLED + "outputs: {host: '${{ params.host }}', ok: '${{ steps.serves.ok }}'}\n"
ASKED_FOR = (
    CALLER.replace(
        "    rollback: none\nverify:",
        "    if: steps.mend.outputs.ok && steps.mend.outputs.host == 'gpu-08'\n"
        "    rollback: none\nverify:",
    )
    + "outputs: {mended: '${{ steps.mend.outputs.host }}', ok: '${{ steps.serves.ok }}'}\n"
)


async def test_what_a_playbook_gives_is_told_at_its_end_and_to_its_caller(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=(GIVING, ASKED_FOR)) as world:
        world.look.will("state", OK)
        world.mend.will("restart", mending(world))
        await world.fire()
        assert "gives host, ok" in [step.description for step in await planned(world)]
        world.look.will("serves", BAD, BAD, OK)
        await approve(world)
        await world.elapse(30)
        (end,) = await world.told(events.RunEnded)
        assert (end.outcome, end.outputs) == ("succeeded", {"mended": "gpu-08", "ok": True})
        assert what_was_done(world)[-1] == "tell gpu-07"
        await world.elapse(1)
        evidence = dict(world.notifier.shown[-1][0].evidence)
        assert evidence["what came of it"] == "mended: gpu-08\nok: True"


async def test_an_output_without_a_value_takes_nothing_with_it(tmp_path: Path) -> None:
    gives = "outputs: {one: '${{ 1 }}', none: '${{ 1 / (params.host == \"gpu-07\" ? 0 : 1) }}'}\n"
    async with a_world(tmp_path, playbook=RESTART + gives) as world:
        await world.fire()
        await approve(world)
        await world.elapse(15)
        (end,) = await world.told(events.RunEnded)
        assert (end.outcome, end.outputs) == ("succeeded", {"one": 1})
        assert "no output 'none': " in end.reason


async def test_what_a_playbook_cant_prove_gives_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=RESTART + "outputs: {one: '${{ 1 }}'}\n") as world:
        world.mend.will("restart", FAILED)
        await world.fire()
        await approve(world)
        (end,) = await world.told(events.RunEnded)
        assert (end.outcome, end.outputs) == ("failed", {})


async def test_what_a_called_playbook_cant_prove_is_rolled_back(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=(CALLER, CALLED)) as world:
        world.mend.will("restart", OK)
        await world.fire()
        await approve(world)
        await world.elapse(6 * 60)
        outcome, reason = await ended(world)
        # What warmed it up has no undoing, and stays.
        assert (outcome, reason.partition(":")[0]) == ("partial", "step mend/serves")
        assert what_was_done(world) == ["restart gpu-08", "warm gpu-08", "undo gpu-08"]


async def test_a_call_whose_if_is_false_is_left_out_whole(tmp_path: Path) -> None:
    asking = CALLER.replace("with: {host: gpu-08}", "with: {host: gpu-08}, if: params.host == ''")
    async with a_world(tmp_path, playbook=(asking, CALLED)) as world:
        world.mend.will("tell", mending(world))
        await world.fire()
        await approve(world)
        await world.elapse(15)
        assert (await ended(world))[0] == "succeeded"
        assert what_was_done(world) == ["tell gpu-07"]
        skipped = {each.step_id: each.reason for each in await world.told(events.StepSkipped)}
        assert skipped == {
            "mend": "params.host == '' is false",
            "mend/restart": "mend is skipped",
            "mend/warm": "mend is skipped",
            "mend/serves": "mend is skipped",
        }


async def test_the_guards_of_a_called_playbook_hold_beside_the_caller_s(tmp_path: Path) -> None:
    guarded = CALLED.replace("approval:", "guards: {cooldown: {for: 1h}}\napproval:")
    async with a_world(tmp_path, playbook=(CALLER, guarded)) as world:
        first = await world.commands.run_playbook("mend", {"host": "gpu-08"}, by=ONCALL)
        await world.settle()
        await approve(world, "by-hand")
        await world.elapse(60)
        assert (await world.queries.incident(first.id)).status != "open"
        world.look.will("serves", BAD)
        await world.fire()
        outcome, reason = await ended(world)
        assert outcome == "skipped"
        assert "mend on gpu-08" in reason
        assert "cools down for 1h" in reason


async def test_a_stop_of_a_called_playbook_stops_its_callers(tmp_path: Path) -> None:
    async with a_world(tmp_path, playbook=(CALLER, CALLED)) as world:
        await world.fire()
        await world.commands.stop("playbook", "mend", by=ONCALL, reason="wrong")
        await approve(world)
        assert (await ended(world))[0] == "cancelled"
        assert what_was_done(world) == []
