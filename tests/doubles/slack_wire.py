"""Slack's requests, answers and Socket Mode frames as closed models: an unknown member is an error.

Transcribed from docs.slack.dev (methods, Socket Mode, block_actions payload) and from the samples
in github.com/slackapi/java-slack-sdk/json-logs (MIT).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.doubles.traffic import JsonObject


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# --- requests: members are those of slack_sdk's methods that this double holds state for


class Nothing(Wire):
    """auth.test and apps.connections.open take the token alone."""


class Metadata(Wire):
    event_type: str
    event_payload: JsonObject


class Content(Wire):
    text: str | None = None
    blocks: list[JsonObject] | None = None
    link_names: bool | None = None
    parse: Literal["none", "full"] | None = None


class PostMessage(Content):
    channel: str
    thread_ts: str | None = None
    reply_broadcast: bool | None = None
    unfurl_links: bool | None = None
    unfurl_media: bool | None = None
    mrkdwn: bool | None = None
    icon_emoji: str | None = None
    username: str | None = None
    metadata: Metadata | None = None


class UpdateMessage(Content):
    channel: str
    ts: str
    metadata: Metadata | None = None


class PostEphemeral(Content):
    channel: str
    user: str
    thread_ts: str | None = None


class UsersOfGroup(Wire):
    usergroup: str
    include_disabled: bool | None = None
    team_id: str | None = None


class ReplyToAction(Content):
    """What is posted to a response_url (slack_sdk.webhook's `send`)."""

    response_type: Literal["ephemeral", "in_channel"] = "ephemeral"
    replace_original: bool = False
    delete_original: bool = False


# --- answers


class BotProfile(Wire):
    id: str
    app_id: str
    name: str
    updated: int
    deleted: bool
    team_id: str


class Edited(Wire):
    user: str
    ts: str


class StoredMessage(Wire):
    type: Literal["message"] = "message"
    user: str
    bot_id: str
    app_id: str
    team: str
    text: str
    ts: Annotated[str, Field(pattern=r"^\d{10}\.\d{6}$")]
    bot_profile: BotProfile
    blocks: list[JsonObject] | None = None
    thread_ts: str | None = None
    edited: Edited | None = None
    metadata: Metadata | None = None


class Posted(Wire):
    ok: Literal[True] = True
    channel: str
    ts: str
    message: StoredMessage


class Updated(Posted):
    text: str


class PostedEphemeral(Wire):
    ok: Literal[True] = True
    message_ts: str


class Identity(Wire):
    ok: Literal[True] = True
    url: str
    team: str
    user: str
    team_id: str
    user_id: str
    bot_id: str
    is_enterprise_install: bool


class ConnectionOpened(Wire):
    ok: Literal[True] = True
    url: Annotated[str, Field(pattern=r"^wss?://")]


class GroupUsers(Wire):
    ok: Literal[True] = True
    users: list[str]


class Done(Wire):
    ok: Literal[True] = True


class Details(Wire):
    messages: list[str]


class Refused(Wire):
    ok: Literal[False] = False
    error: str
    errors: list[str] | None = None
    response_metadata: Details | None = None


# --- Socket Mode


class DebugInfo(Wire):
    host: str
    build_number: int | None = None
    approximate_connection_time: int | None = None


class ConnectionInfo(Wire):
    app_id: str


class Hello(Wire):
    type: Literal["hello"] = "hello"
    num_connections: int
    debug_info: DebugInfo
    connection_info: ConnectionInfo


class Disconnect(Wire):
    type: Literal["disconnect"] = "disconnect"
    reason: Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
    debug_info: DebugInfo


class ActingUser(Wire):
    id: str
    username: str
    name: str
    team_id: str


class Named(Wire):
    id: str
    name: str


class Team(Wire):
    id: str
    domain: str


class Container(Wire):
    type: Literal["message"] = "message"
    message_ts: str
    channel_id: str
    is_ephemeral: bool


class State(Wire):
    values: JsonObject


class ButtonAction(Wire):
    type: Literal["button"] = "button"
    action_id: str
    block_id: str
    text: JsonObject
    action_ts: str
    value: str | None = None
    style: Literal["primary", "danger"] | None = None
    confirm: JsonObject | None = None


class BlockActions(Wire):
    type: Literal["block_actions"] = "block_actions"
    user: ActingUser
    api_app_id: str
    token: str
    container: Container
    trigger_id: str
    team: Team
    enterprise: None = None
    is_enterprise_install: bool
    channel: Named
    message: StoredMessage
    state: State
    response_url: str
    actions: Annotated[list[ButtonAction], Field(min_length=1)]


class Envelope(Wire):
    envelope_id: str
    type: Literal["interactive"] = "interactive"
    accepts_response_payload: Literal[False] = False
    payload: BlockActions


class Acknowledgement(Wire):
    """A block_actions envelope takes no response payload, so that one is refused."""

    envelope_id: str
