"""What a person can order: every one needs a token, and who holds it is the journaled actor."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request

from engine.core.events import Decision
from engine.core.recent_changes import OutsideChange
from engine.errors import ConflictError
from engine.gateway.answers import (
    change_answer,
    decision_answer,
    incident_answer,
    locks_answer,
    replay_answer,
    reposition_answer,
    silence_answer,
    stops_answer,
)
from engine.gateway.parts import GatewayParts
from engine.ports.api import (
    AcknowledgeOrder,
    CancelOrder,
    DecisionAnswer,
    DecisionOrder,
    EndSilenceOrder,
    IncidentAnswer,
    KeepOrder,
    LocksAnswer,
    PositionOrder,
    ReleaseOrder,
    ReplayAnswer,
    RepositionAnswer,
    ResumeOrder,
    RunOrder,
    SilenceAnswer,
    SilenceOrder,
    StopOrder,
    StopsAnswer,
)
from engine.ports.brake_api import BrakeAnswer, LiftOrder, brake_answer
from engine.ports.breaker_api import TryAnswer, TryOrder
from engine.ports.change_api import ChangeAnswer, ChangeOrder
from engine.ports.changes import Changes
from engine.ports.commands import By, Commands, Replays, Repositions, WantedSilence
from engine.ports.question_api import AnswerOrder
from engine.ports.raises_api import ConfirmOrder
from engine.ports.rules_api import JudgeOrder
from engine.ports.switches import Switches

# Set by the gateway from the credential alone: a caller can't say who it is.
ORDERED_BY = "quell.by"


def commands_of(request: Request) -> Commands:
    """The commands of this gateway."""
    parts: GatewayParts = request.app.state.parts
    return parts.commands


def replays_of(request: Request) -> Replays:
    """What takes dead letters in again."""
    parts: GatewayParts = request.app.state.parts
    return parts.replays


def repositions_of(request: Request) -> Repositions:
    """What sends stopped partitions on."""
    parts: GatewayParts = request.app.state.parts
    return parts.repositions


def switches_of(request: Request) -> Switches:
    """What is on until a person turns it off."""
    parts: GatewayParts = request.app.state.parts
    return parts.switches


def changes_of(request: Request) -> Changes:
    """What keeps what others changed."""
    parts: GatewayParts = request.app.state.parts
    return parts.changes


def ordered_by(request: Request) -> By:
    """The holder of the request's token."""
    by: By = request.scope[ORDERED_BY]
    return by


Ordered = Annotated[Commands, Depends(commands_of)]
Replaying = Annotated[Replays, Depends(replays_of)]
Switching = Annotated[Switches, Depends(switches_of)]
Telling = Annotated[Changes, Depends(changes_of)]
Repositioning = Annotated[Repositions, Depends(repositions_of)]
Holder = Annotated[By, Depends(ordered_by)]
router = APIRouter(prefix="/v1", tags=["order"])


@router.post("/approvals/{approval}/decision")
async def decide(
    approval: str, order: DecisionOrder, commands: Ordered, by: Holder
) -> DecisionAnswer:
    """Approve or reject; 409 when another decision stands already."""
    decision: Decision = "approved" if order.decision == "approve" else "rejected"
    decided = await commands.decide(
        approval, decision, plan_hash=order.plan_hash, by=by, reason=order.reason
    )
    if not decided.accepted:
        raise ConflictError(decided.sentence)
    return decision_answer(decided)


@router.post("/incidents/{incident}/acknowledge")
async def acknowledge(
    incident: str,
    commands: Ordered,
    by: Holder,
    order: Annotated[AcknowledgeOrder, Body()] = AcknowledgeOrder(),  # noqa: B008 - it is frozen
) -> IncidentAnswer:
    """Say: I see it."""
    return incident_answer(await commands.acknowledge(incident, by=by, note=order.note))


@router.post("/runs", status_code=HTTPStatus.ACCEPTED)
async def run_playbook(order: RunOrder, commands: Ordered, by: Holder) -> IncidentAnswer:
    """Start a run by hand, in an incident of its own; it is approved like any other."""
    incident = await commands.run_playbook(
        order.playbook, order.parameters, by=by, reason=order.reason, dry_run=order.dry_run
    )
    return incident_answer(incident)


@router.post("/runs/{run}/cancel", status_code=HTTPStatus.NO_CONTENT)
async def cancel_run(
    run: str,
    commands: Ordered,
    by: Holder,
    order: Annotated[CancelOrder, Body()] = CancelOrder(),  # noqa: B008 - it is frozen
) -> None:
    """End a run's plan; what is under way is signalled, what was done is rolled back."""
    await commands.cancel_run(run, by=by, reason=order.reason)


@router.post("/runs/{run}/rollback")
async def roll_back(
    run: str,
    commands: Ordered,
    by: Holder,
    order: Annotated[CancelOrder, Body()] = CancelOrder(),  # noqa: B008 - it is frozen
) -> IncidentAnswer:
    """Take an ended run back by a run of its own; 409 where nothing can be taken back."""
    return incident_answer(await commands.roll_back(run, by=by, reason=order.reason))


@router.post("/runs/{run}/keep")
async def keep(run: str, order: KeepOrder, commands: Ordered, by: Holder) -> IncidentAnswer:
    """Call off a run's revert: its change stays; 409 where nothing would take it back."""
    return incident_answer(await commands.keep(run, by=by, reason=order.reason))


@router.post("/stops")
async def stop(order: StopOrder, commands: Ordered, by: Holder) -> StopsAnswer:
    """Let nothing that this covers change anything more; the answer is all that is stopped."""
    return stops_answer(await commands.stop(order.scope, order.name, by=by, reason=order.reason))


@router.post("/resume")
async def resume(order: ResumeOrder, commands: Ordered, by: Holder) -> StopsAnswer:
    """Lift a stop; 409 while a file STOP in the data folder keeps everything stopped."""
    return stops_answer(await commands.resume(order.scope, order.name, by=by, reason=order.reason))


@router.post("/incidents/{incident}/judgement", status_code=HTTPStatus.NO_CONTENT)
async def judge(incident: str, order: JudgeOrder, commands: Ordered, by: Holder) -> None:
    """Say whether an incident's run was, or would have been, the right thing."""
    await commands.judge(incident, order.verdict, by=by, reason=order.reason)


@router.post("/runs/{run}/answer", status_code=HTTPStatus.NO_CONTENT)
async def answer(run: str, order: AnswerOrder, commands: Ordered, by: Holder) -> None:
    """Answer a question that a run asks before its plan is made; 409 when it asks nothing."""
    await commands.answer(run, order.answer, step=order.step, by=by, reason=order.reason)


@router.post("/silences")
async def silence(order: SilenceOrder, commands: Ordered, by: Holder) -> SilenceAnswer:
    """Silence alerts for some time; one of an `origin` that is known is replaced."""
    wanted = WantedSilence(**order.model_dump())
    return silence_answer(await commands.silence(wanted, by=by))


@router.post("/silences/{silence}/end")
async def end_silence(
    silence: str,
    commands: Ordered,
    by: Holder,
    order: Annotated[EndSilenceOrder, Body()] = EndSilenceOrder(),  # noqa: B008 - it is frozen
) -> SilenceAnswer:
    """End a silence before its time; 409 when it has ended."""
    return silence_answer(await commands.end_silence(silence, by=by, reason=order.reason))


@router.post("/locks/{target}/release")
async def release_lock(
    target: str,
    commands: Ordered,
    by: Holder,
    order: Annotated[ReleaseOrder, Body()] = ReleaseOrder(),  # noqa: B008 - it is frozen
) -> LocksAnswer:
    """Let go of what the ended run that keeps this target locked holds; 409 while it goes on."""
    return locks_answer(await commands.release_lock(target, by=by, reason=order.reason))


@router.post("/breakers/{playbook}/try")
async def try_again(
    playbook: str,
    commands: Ordered,
    by: Holder,
    order: Annotated[TryOrder, Body()] = TryOrder(),  # noqa: B008 - it is frozen
) -> TryAnswer:
    """Let one more run of a playbook try; 404 when its last run did not fail."""
    excused = await commands.try_again(playbook, order.target, by=by, reason=order.reason)
    return TryAnswer(playbook=playbook, excused=tuple(excused))


@router.post("/changes")
async def tell_change(order: ChangeOrder, changes: Telling, by: Holder) -> ChangeAnswer:
    """Say that somebody changed something just now; 404 for what the inventory doesn't know."""
    change = OutsideChange(order.what, order.targets, order.services)
    return change_answer(await changes.tell_change(change, by=by, reason=order.reason))


@router.post("/brake/lift")
async def lift_brake(
    switches: Switching,
    by: Holder,
    order: Annotated[LiftOrder, Body()] = LiftOrder(),  # noqa: B008 - it is frozen
) -> BrakeAnswer:
    """Let `auto` act again after a storm; the answer is what was on, 404 when the brake is off."""
    return brake_answer(await switches.lift_brake(by=by, reason=order.reason))


@router.post("/raises/confirm", status_code=HTTPStatus.NO_CONTENT)
async def confirm_raises(order: ConfirmOrder, switches: Switching, by: Holder) -> None:
    """Let everything go as far as a catalog says; 403 for who activated it, 409 for another one."""
    await switches.confirm_raises(order.version, by=by, reason=order.reason)


@router.post("/positions/{partition}")
async def set_position(
    partition: int, order: PositionOrder, repositions: Repositioning, by: Holder
) -> RepositionAnswer:
    """Send a stopped partition on; 409 when it isn't stopped."""
    return reposition_answer(
        await repositions.set_position(partition, order.to, by=by, reason=order.reason)
    )


@router.post("/dead-letters/{letter}/replay")
async def replay_dead_letter(letter: str, replays: Replaying, by: Holder) -> ReplayAnswer:
    """Take a dead letter in again; where that fails, `replayed` is false and its reason new."""
    return replay_answer(await replays.replay_dead_letter(letter, by=by))
