"""A Slack that keeps state, refuses what Slack refuses, and fails when a test tells it to."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web
from pydantic import ValidationError

from tests.doubles import slack_wire as wire
from tests.doubles.server_thread import ServerThread
from tests.doubles.slack_blocks import RefusedError, buttons
from tests.doubles.slack_sockets import Sockets
from tests.doubles.slack_workspace import Ephemeral, Message, Method, Workspace, methods
from tests.doubles.traffic import (
    Failure,
    Hold,
    Json,
    JsonObject,
    LostReply,
    Refusal,
    Request,
    Traffic,
)

BOT_TOKEN = "xoxb-double"
APP_TOKEN = "xapp-double"
# A person sees a warning sign beside the button when no acknowledgement came within this time.
ACK_DEADLINE_S = 3.0
RUN_DEADLINE_S = 10.0
# A response_url works five times.
RESPONSE_URL_USES = 5
ERROR_OF_STATUS = {429: "ratelimited", 500: "internal_error", 503: "service_unavailable"}

T = TypeVar("T")
W = TypeVar("W", bound=wire.Wire)


class ButtonMissingError(LookupError):
    """The message shows no such button now."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The app's answer to one click."""

    envelope_id: str
    latency_s: float


class SlackServer:
    """`with SlackServer() as slack:` then point AsyncWebClient(base_url=slack.base_url) at it."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self.bot_token = BOT_TOKEN
        self.app_token = APP_TOKEN
        self._workspace = workspace or Workspace()
        self._traffic = Traffic()
        self._sockets = Sockets(self._traffic, self._workspace.app_id)
        self._methods = methods(self._workspace) | {
            "apps.connections.open": Method(wire.Nothing, self._open_connection, "xapp-")
        }
        self._clicks = itertools.count(1)
        self._response_urls: dict[str, tuple[str, str, str, int]] = {}
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._web_api)
        app.router.add_get("/link/", self._sockets.serve)
        app.router.add_post("/actions/{id}", self._reply_to_action)
        app.on_shutdown.append(lambda _: self._sockets.close_all())
        self._server = ServerThread(app, "slack-double")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()

    @property
    def base_url(self) -> str:
        """For AsyncWebClient(base_url=...); it ends in a slash, as the SDK's join needs."""
        return f"http://{self._server.address}/api/"

    # --- what a test sees

    def messages(self, channel: str) -> tuple[Message, ...]:
        """What people see in a channel, oldest first."""
        with self._traffic.changed:
            return tuple(
                message
                for (where, _), message in self._workspace.messages.items()
                if where == channel and not message.deleted
            )

    def ephemerals(self) -> tuple[Ephemeral, ...]:
        with self._traffic.changed:
            return tuple(self._workspace.ephemerals)

    def requests(self, since: int = 0) -> tuple[Request, ...]:
        """Every request in order of arrival, from the one numbered `since`."""
        return self._traffic.requests(since)

    def refusals(self) -> tuple[Refusal, ...]:
        """What the app asked that Slack would have refused; planned failures aren't among them."""
        return self._traffic.refusals()

    def connections(self) -> tuple[int, ...]:
        """The numbers of the open Socket Mode connections; a reconnect has a new number."""
        return tuple(connection.number for connection in self._sockets.live())

    def wait_for(self, predicate: Callable[[], T], deadline_s: float) -> T:
        """The first truthy answer of `predicate`; TimeoutError after the deadline."""
        return self._traffic.wait_for(predicate, deadline_s)

    # --- what a person does

    def click(
        self,
        message: Message,
        action_id: str,
        user: str = "U1",
        deadline_s: float = ACK_DEADLINE_S,
    ) -> Ack:
        """Press a button that the message shows now, and wait for the app's acknowledgement.

        Raises:
            ButtonMissingError: the message shows no such button (any more), or not to this user.
            NotConnectedError: the app has no Socket Mode connection.
            TimeoutError: the app didn't acknowledge in time.
        """
        envelope = self._envelope(message, action_id, user)
        self._server.run(self._sockets.deliver(envelope), RUN_DEADLINE_S)
        latency_s = self.wait_for(lambda: self._sockets.latency_s(envelope.envelope_id), deadline_s)
        return Ack(envelope.envelope_id, latency_s or 0.0)

    # --- how it misbehaves

    def fail_next(
        self, method: str, status: int = 429, retry_after: int = 1, error: str | None = None
    ) -> None:
        """Refuse the next call of a method; with status 200 it is `ok: false` with `error`."""
        name = error or ERROR_OF_STATUS[status]
        headers = {"Retry-After": str(retry_after)} if status == 429 else {}
        body = wire.Refused(error=name).model_dump(exclude_none=True)
        self._traffic.plan(method, Failure(status, headers, body))

    def drop_reply_next(self, method: str) -> None:
        """Do what the next call of a method asks, then cut the connection before the answer."""
        self._traffic.plan(method, LostReply())

    def hold_next(self, method: str) -> Hold:
        """Do what the next call of a method asks, then answer only after `release`."""
        hold = Hold()
        self._traffic.plan(method, hold)
        return hold

    def disconnect_all(self, reason: str = "refresh_requested") -> None:
        """Tell every connection to reconnect, as Slack does every few hours."""
        self._server.run(self._sockets.disconnect_all(reason), RUN_DEADLINE_S)

    def cut_all(self) -> None:
        """Cut every websocket without a word, as a network does."""
        self._server.run(self._sockets.cut_all(), RUN_DEADLINE_S)

    def ping(self, deadline_s: float) -> None:
        """Ping every connection and wait until each has answered."""
        before = {c.number: c.pongs for c in self._sockets.live()}
        self._server.run(self._sockets.ping_all(), RUN_DEADLINE_S)
        self.wait_for(
            lambda: all(c.pongs > before.get(c.number, -1) for c in self._sockets.live()),
            deadline_s,
        )

    # --- HTTP

    async def _web_api(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        arguments = await _arguments(request)
        seen = self._traffic.record(name, arguments)

        async def respond() -> web.StreamResponse:
            return self._respond(seen, lambda: self._call(request, name, arguments))

        return await self._traffic.answer(request, name, respond)

    async def _reply_to_action(self, request: web.Request) -> web.StreamResponse:
        arguments = await _arguments(request)
        seen = self._traffic.record("response_url", arguments)

        def reply() -> wire.Wire:
            key = request.match_info["id"]
            channel, ts, user, uses = self._response_urls.get(key, ("", "", "", 0))
            if uses == 0:
                raise RefusedError("used_url")
            self._response_urls[key] = (channel, ts, user, uses - 1)
            asked = _taken(wire.ReplyToAction, arguments)
            return self._workspace.reply_to_action(asked, channel, ts, user)

        async def respond() -> web.StreamResponse:
            return self._respond(seen, reply)

        return await self._traffic.answer(request, "response_url", respond)

    def _respond(self, seen: Request, act: Callable[[], wire.Wire]) -> web.Response:
        try:
            with self._traffic.changed:
                answer = act()
                self._traffic.changed.notify_all()
        except RefusedError as refused:
            return self._refuse(seen, refused.error, list(refused.problems))
        return web.json_response(answer.model_dump(exclude_none=True))

    def _refuse(self, seen: Request, error: str, problems: list[str]) -> web.Response:
        details = wire.Details(messages=[f"[ERROR] {problem}" for problem in problems])
        body = wire.Refused(
            error=error,
            errors=problems or None,
            response_metadata=details if problems else None,
        ).model_dump(exclude_none=True)
        self._traffic.refuse(seen, 200, body)
        return web.json_response(body)

    def _call(self, request: web.Request, name: str, arguments: JsonObject) -> wire.Wire:
        method = self._methods.get(name)
        if method is None or request.method not in method.http_verbs:
            raise RefusedError("unknown_method")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            raise RefusedError("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise RefusedError("invalid_auth")
        if not token.startswith(method.token):
            raise RefusedError("not_allowed_token_type")
        answer: wire.Wire = method.answer(_taken(method.request, arguments))
        return answer

    def _open_connection(self, _: wire.Nothing) -> wire.ConnectionOpened:
        ticket = self._sockets.issue_ticket()
        app_id = self._workspace.app_id
        return wire.ConnectionOpened(
            url=f"ws://{self._server.address}/link/?ticket={ticket}&app_id={app_id}"
        )

    def _envelope(self, message: Message, action_id: str, user: str) -> wire.Envelope:
        with self._traffic.changed:
            workspace = self._workspace
            shown = workspace.message(message.channel, message.ts)
            if shown is None:
                raise ButtonMissingError(f"the message {message.ts!r} is gone")
            block, button = _find_button(shown, action_id, user)
            number = next(self._clicks)
            key = f"action-{number}"
            self._response_urls[key] = (shown.channel, shown.ts, user, RESPONSE_URL_USES)
            name = workspace.users[user]
            action = {
                member: button[member]
                for member in ("action_id", "text", "value", "style", "confirm")
                if member in button
            }
            payload = wire.BlockActions(
                user=wire.ActingUser(id=user, username=name, name=name, team_id=workspace.team_id),
                api_app_id=workspace.app_id,
                token="verification-token",
                container=wire.Container(
                    message_ts=shown.ts, channel_id=shown.channel, is_ephemeral=False
                ),
                trigger_id=f"{number}.{number}.trigger",
                team=wire.Team(id=workspace.team_id, domain="workspace"),
                is_enterprise_install=False,
                channel=wire.Named(id=shown.channel, name=workspace.channels[shown.channel]),
                message=workspace.stored(shown),
                state=wire.State(values={}),
                response_url=f"http://{self._server.address}/actions/{key}",
                actions=[
                    wire.ButtonAction.model_validate(
                        action | {"block_id": block["block_id"], "action_ts": workspace.next_ts()}
                    )
                ],
            )
        return wire.Envelope(envelope_id=f"envelope-{number}", payload=payload)


def _find_button(message: Message, action_id: str, user: str) -> tuple[JsonObject, JsonObject]:
    shown = [
        (block, button)
        for block, button in buttons(list(message.blocks))
        if user in button.get("visible_to_user_ids", [user])
    ]
    for block, button in shown:
        if button["action_id"] == action_id:
            return block, button
    offered = [button["action_id"] for _, button in shown]
    raise ButtonMissingError(
        f"{message.ts!r} shows {user!r} no button {action_id!r}, only {offered!r}"
    )


def _taken(model: type[W], arguments: JsonObject) -> W:
    """The arguments as the method takes them; an own answer's mistake must not end up here."""
    try:
        return model.model_validate(arguments)
    except ValidationError as invalid:
        problems = [
            f"{problem['msg']} [json-pointer:/{'/'.join(map(str, problem['loc']))}]"
            for problem in invalid.errors()
        ]
        raise RefusedError("invalid_arguments", *problems) from None


async def _arguments(request: web.Request) -> JsonObject:
    """A request's arguments, from the query, a form or JSON; a form's blocks are JSON in text."""
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        body = _decoded(await request.text())
        return body if isinstance(body, dict) else {"": body}
    form = {str(key): value for key, value in (await request.post()).items()} | dict(request.query)
    for member in ("blocks", "metadata"):
        if member in form:
            form[member] = _decoded(str(form[member]))
    return form


def _decoded(text: str) -> Json:
    """The JSON value, or the text itself, which the method's model then refuses."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
