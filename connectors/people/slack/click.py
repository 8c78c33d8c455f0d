"""A button pressed in Slack, read from a Socket Mode envelope that anything may have written."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.people.slack.message import APPROVE, REJECT
from engine.core.events import Decision
from engine.core.json_value import Json
from engine.errors import PayloadError
from engine.ports.notifier import Click

_DECISIONS: dict[str, Decision] = {APPROVE: "approved", REJECT: "rejected"}

# Slack's ids; nothing else may become part of an actor's name.
_Id = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,64}$")]


@dataclass(frozen=True, slots=True)
class Pressed:
    """The decision, and where to answer the person who took it; "" where there is no channel."""

    click: Click
    channel: str
    user: str


class _Seen(BaseModel):
    # Slack adds members to its payloads at any time.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Named(_Seen):
    id: _Id


class _User(_Named):
    team_id: _Id | None = None


class _Action(_Seen):
    action_id: str
    value: str = ""


class _BlockActions(_Seen):
    """https://docs.slack.dev/reference/interaction-payloads/block_actions-payload"""

    type: Literal["block_actions"]
    user: _User
    team: _Named | None = None
    channel: _Named | None = None
    actions: tuple[_Action, ...]


class _Envelope(_Seen):
    type: Literal["interactive"]
    payload: _BlockActions


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    approval: Annotated[str, Field(min_length=1, max_length=200)]
    plan: Annotated[str, Field(min_length=1, max_length=200)]


def pressed_in(envelope: Json) -> Pressed:
    """The decision in an envelope. Raises PayloadError, without the payload, when it has none."""
    try:
        payload = _Envelope.model_validate(envelope).payload
        ours = [action for action in payload.actions if action.action_id in _DECISIONS]
        if not ours:
            raise PayloadError("no button of quell's", "actions")
        value = _Value.model_validate_json(ours[0].value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise PayloadError(first["msg"], ".".join(map(str, first["loc"]))) from None
    # In a channel that two companies share, a person belongs to their own workspace.
    team = payload.user.team_id or (payload.team.id if payload.team else "")
    if not team:
        raise PayloadError("the person belongs to no workspace", "user.team_id")
    click = Click(
        approval_id=value.approval,
        plan_hash=value.plan,
        decision=_DECISIONS[ours[0].action_id],
        actor=f"slack:{team}/{payload.user.id}",
        via="slack",
    )
    return Pressed(click, payload.channel.id if payload.channel else "", payload.user.id)
