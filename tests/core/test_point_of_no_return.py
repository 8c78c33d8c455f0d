"""The last judgement before a change: each thing that can have changed meanwhile, alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core import events
from engine.core.guards import Refusal
from engine.core.inventory import Inventory
from engine.core.plan import Place, PlannedStep, PlanPhase, plan_hash
from engine.core.point_of_no_return import Judgement, Moment, judge
from engine.core.run import ApprovalState, GuardLook, StepKey, StepOutcome, StepState
from engine.core.run_commands import Attempt
from engine.core.run_world import World
from engine.core.severity import Mode
from engine.core.still_firing import Confirmation
from tests.doubles.runs import Drive, a_playbook, an_incident

NOTHING = timedelta(0)


def approved(mode: Mode = Mode.APPROVE) -> tuple[Attempt, Moment]:
    """A first attempt with everything in order."""
    drive = Drive(a_playbook(), mode=mode)
    command = drive.to_first_attempt()
    state = drive.state
    world = World(drive.now, drive.incident, drive.playbook, Inventory())
    needed = mode is Mode.APPROVE
    return command, Moment(state, world, NOTHING, state.plan_hash if needed else "")


def judged(change: Callable[[Moment], Moment], mode: Mode = Mode.APPROVE) -> Judgement:
    command, moment = approved(mode)
    return judge(command, change(moment))


def in_world(**changes: object) -> Callable[[Moment], Moment]:
    return lambda m: replace(m, world=replace(m.world, **changes))  # type: ignore[arg-type]


def in_state(**changes: object) -> Callable[[Moment], Moment]:
    return lambda m: replace(m, state=replace(m.state, **changes))  # type: ignore[arg-type]


def later(seconds: float, looked_s: float = 0) -> Callable[[Moment], Moment]:
    return lambda m: replace(
        m,
        world=replace(m.world, now=m.world.now + timedelta(seconds=seconds)),
        looked=timedelta(seconds=looked_s),
    )


def confirmed(answer: events.StillFiring, basis: events.ConfirmationBasis) -> Callable[..., Moment]:
    def change(moment: Moment) -> Moment:
        known = moment.state.confirmed
        assert known is not None
        since = moment.world.now if answer == "resolved" else None
        told = replace(known, confirmation=Confirmation(answer, basis), resolved_since=since)
        return replace(moment, state=replace(moment.state, confirmed=told))

    return change


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.AUTO])
def test_with_everything_in_order_it_passes(mode: Mode) -> None:
    assert judged(lambda moment: moment, mode).outcome == "passes"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(in_state(cancelled_by="local:me"), "about to", id="cancelled"),
        pytest.param(in_state(outcome="failed"), "has ended", id="ended"),
        pytest.param(in_state(plan=None), "has ended", id="no plan"),
        pytest.param(in_world(stopped="stopped by x"), "stopped by x", id="stopped"),
        pytest.param(in_world(incident=an_incident("resolved")), "cleared", id="cleared"),
        pytest.param(in_world(refusal=Refusal("lock", "held", True)), "held", id="a guard"),
        pytest.param(later(15.1), "looked at before is too old", id="an old look"),
        pytest.param(in_state(precheck={}), "looked at before is too old", id="no look"),
        pytest.param(in_state(confirmed=None), "nobody said lately", id="nobody was asked"),
        pytest.param(confirmed("resolved", "source"), "no longer fires", id="no longer firing"),
        pytest.param(in_state(approval=None), "has to approve", id="nobody was asked to approve"),
    ],
)
def test_what_changed_meanwhile_makes_the_run_decide_afresh(
    change: Callable[[Moment], Moment], reason: str
) -> None:
    found = judged(change)
    assert found.outcome == "waits"
    assert reason in found.reason


def test_a_slow_look_at_the_target_makes_nothing_else_stale() -> None:
    assert judged(later(25, looked_s=20)).outcome == "passes"
    assert judged(later(36, looked_s=20)).outcome == "waits"


def test_an_answer_that_is_too_old_is_asked_again_though_the_look_is_fresh() -> None:
    def old_answer(moment: Moment) -> Moment:
        known = moment.state.confirmed
        assert known is not None
        at = moment.world.now - timedelta(seconds=15.1)
        return replace(moment, state=replace(moment.state, confirmed=replace(known, at=at)))

    assert judged(old_answer).reason == "nobody said lately that it still fires"


@pytest.mark.parametrize(
    ("answer", "basis", "source_confirms", "outcome"),
    [
        ("firing", "source", True, "passes"),
        ("firing", "last notice", False, "passes"),
        ("firing", "last notice", True, "waits"),
        ("cannot_tell", "source", False, "waits"),
        ("cannot_tell", "last notice", True, "waits"),
    ],
)
def test_in_auto_an_alert_alone_changes_nothing_where_the_source_should_confirm(
    answer: events.StillFiring,
    basis: events.ConfirmationBasis,
    source_confirms: bool,
    outcome: str,
) -> None:
    def change(moment: Moment) -> Moment:
        moment = confirmed(answer, basis)(moment)
        assert moment.state.plan is not None
        plan = moment.state.plan.model_copy(update={"source_confirms": source_confirms})
        return replace(moment, state=replace(moment.state, plan=plan))

    found = judged(change, Mode.AUTO)
    assert found.outcome == outcome
    assert outcome == "passes" or found.reason == "a person has to approve"


def test_a_person_who_approves_stands_for_a_source_that_can_not_tell() -> None:
    assert judged(confirmed("cannot_tell", "source")).outcome == "passes"


@pytest.mark.parametrize("by_hand", [True, False])
def test_nothing_ever_fired_of_a_run_by_hand(by_hand: bool) -> None:
    incident = replace(an_incident(), rule_id="by-hand" if by_hand else "rule")

    def change(moment: Moment) -> Moment:
        return in_world(incident=incident)(in_state(confirmed=None)(moment))

    assert judged(change).outcome == ("passes" if by_hand else "waits")


@pytest.mark.parametrize("stored", ["", "0" * 64], ids=["no approval", "another plan's"])
def test_a_journal_that_says_approved_and_a_store_that_does_not_is_broken(stored: str) -> None:
    found = judged(lambda moment: replace(moment, approved_hash=stored))
    assert found.outcome == "broken"
    assert "audit verify" in found.reason


def test_an_altered_plan_is_broken() -> None:
    def alter(moment: Moment) -> Moment:
        assert moment.state.plan is not None
        plan = moment.state.plan.model_copy(update={"playbook_id": "another"})
        altered = plan_hash(plan.to_bytes())
        return replace(moment, state=replace(moment.state, plan=plan, plan_hash=altered))

    assert judged(alter).outcome == "broken"


@pytest.mark.parametrize(
    ("phase", "actor", "outcome"),
    [
        ("steps", "local:me", "waits"),
        ("rollback", "local:me", "passes"),
        ("on_cancel", "local:me", "passes"),
        ("rollback", "engine", "waits"),
    ],
)
def test_after_a_cancel_only_what_follows_it_passes_and_after_a_stop_nothing(
    phase: PlanPhase, actor: str, outcome: str
) -> None:
    command, moment = approved()
    undo = command.step.model_copy(update={"phase": phase})
    cancelled = in_state(cancelled_by=actor)(moment)
    assert judge(Attempt(undo, 1), cancelled).outcome == outcome


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        pytest.param({}, "waits", id="on_cancel is to come"),
        pytest.param({("on_cancel", "tell"): "succeeded"}, "passes", id="it is done"),
        pytest.param({("on_cancel", "tell"): "failed"}, "passes", id="it failed"),
        pytest.param({("rollback", "other"): "succeeded"}, "passes", id="it goes back already"),
    ],
)
def test_a_cancel_that_came_meanwhile_begins_with_on_cancel(
    known: dict[StepKey, StepOutcome], outcome: str
) -> None:
    command, moment = approved()
    assert moment.state.plan is not None
    undo = command.step.model_copy(update={"phase": "rollback"})
    tell = command.step.model_copy(update={"phase": "on_cancel", "id": "tell"})
    cancelled = in_state(
        cancelled_by="local:me",
        plan=moment.state.plan.model_copy(update={"steps": (undo, tell)}),
        steps={key: StepState(outcome=each, attempts=1) for key, each in known.items()},
    )(moment)
    assert judge(Attempt(undo, 1), cancelled).outcome == outcome


@pytest.mark.parametrize(("late_s", "outcome"), [(-1, "passes"), (0, "waits")])
def test_no_step_begins_after_the_deadline(late_s: int, outcome: str) -> None:
    command, moment = approved()
    began_at = moment.world.now - timedelta(hours=1, seconds=late_s)
    changed = {("steps", "drain"): StepState(outcome="succeeded", attempts=1)}
    begun = in_state(began_at=began_at, steps=changed)(moment)
    assert judge(Attempt(command.step, 1), begun).outcome == outcome
    undo = command.step.model_copy(update={"phase": "rollback"})
    assert judge(Attempt(undo, 1), begun).outcome == "passes"


@pytest.mark.parametrize(
    ("batch", "begun", "reason"),
    [
        pytest.param("each[batch-2]", "each[batch-1]", "too many", id="another batch"),
        pytest.param("each[batch-2]", "each[batch-2]", "", id="one that has begun"),
        pytest.param("", "", "", id="outside of loops"),
    ],
)
def test_guards_are_judged_again_with_the_first_change_of_each_batch(
    batch: str, begun: str, reason: str
) -> None:
    command, moment = approved()
    assert moment.state.plan is not None

    def placed(step_id: str, batch: str) -> PlannedStep:
        place = Place(origin="restart", batch=batch)
        return command.step.model_copy(update={"id": step_id, "place": place})

    step = placed("restart[b]", batch)
    plan = moment.state.plan.model_copy(update={"steps": (placed("restart[a]", begun), step)})
    moment = in_state(
        plan=plan,
        began_at=moment.world.now,
        steps={("steps", "restart[a]"): StepState(outcome="succeeded", attempts=1)},
    )(moment)
    moment = in_world(refusal=Refusal("blast_radius", "too many", waits=True))(moment)
    found = judge(Attempt(step, 1), moment)
    assert found.reason == reason


def test_a_rejection_that_came_meanwhile_is_no_approval() -> None:
    def reject(moment: Moment) -> Moment:
        known = moment.state.approval
        assert isinstance(known, ApprovalState)
        return in_state(approval=replace(known, decision="rejected"))(moment)

    assert judged(reject).reason == "a person has to approve"


def test_a_later_attempt_needs_no_fresh_look_but_still_the_lease_of_life() -> None:
    command, moment = approved()
    later_one = Attempt(command.step, 2)
    unknown = {("steps", command.step.id): StepState(outcome="unknown", attempts=1)}
    moment = in_state(steps=unknown)(moment)
    old = in_world(now=moment.world.now + timedelta(hours=1))(moment)
    assert judge(later_one, old).outcome == "passes"
    assert judge(later_one, in_world(stopped="stopped by x")(old)).outcome == "waits"


@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        pytest.param(StepState(outcome="unknown", attempts=1), "passes", id="it is the next"),
        pytest.param(StepState(outcome="open", attempts=1), "waits", id="the last is under way"),
        pytest.param(StepState(outcome="open", attempts=2), "waits", id="it was begun"),
        pytest.param(StepState(outcome="failed", attempts=2), "waits", id="it is over"),
    ],
)
def test_an_attempt_is_begun_once(known: StepState, outcome: str) -> None:
    command, moment = approved()
    moment = in_state(steps={("steps", command.step.id): known})(moment)
    assert judge(Attempt(command.step, 2), moment).outcome == outcome


def test_what_a_guard_reads_is_as_fresh_as_the_precheck() -> None:
    command, moment = approved()
    plan = moment.state.plan
    assert plan is not None
    read = plan.of("verify")[0].model_copy(update={"phase": "guards", "id": "unavailable"})
    asking = plan.model_copy(update={"steps": (read, *plan.steps)})
    state = replace(moment.state, plan=asking)
    judgement = judge(command, replace(moment, state=state))
    assert judgement == Judgement("waits", "what was looked at before is too old")
    look = GuardLook(moment.world.now, {}, "")
    seen = replace(moment, state=replace(state, guard_looks={"unavailable": look}))
    assert judge(command, seen).reason != "what was looked at before is too old"
