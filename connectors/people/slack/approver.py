"""The Approver over Slack's Socket Mode: a click is acknowledged once its decision is durable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from typing_extensions import override

from connectors.people.slack.click import Pressed, pressed_in
from connectors.people.slack.message import escaped
from connectors.people.slack.web_api import SlackConfig, answer_of, silent_logger, web_client
from engine.core.json_value import Json
from engine.errors import PayloadError, PermanentError, TransientError
from engine.ports.notifier import Click

if TYPE_CHECKING:
    from slack_sdk.socket_mode.aiohttp import SocketModeClient
    from slack_sdk.web.async_client import AsyncWebClient

log = structlog.get_logger(__name__)

CONNECT_S = 15.0
CLOSE_S = 2.0
CHECK_S = 1.0
MAX_PAUSE_S = 60.0
# Far more than people click. One beyond stays unacknowledged, which Slack shows to the person.
MAX_CLICKS = 1_000
MAX_WHISPER = 2_000

Decide = Callable[[Click], Awaitable[str]]


class SlackApprover:
    """Hears the buttons of SlackNotifier's messages over one websocket, without an open port."""

    def __init__(self, config: SlackConfig) -> None:
        self._config = config
        self._web = web_client(config)

    async def listen(self, decide: Decide) -> None:
        """See Approver. Connects again by itself, however long Slack is away."""
        back_off_s = CHECK_S
        async with asyncio.TaskGroup() as group:
            clicks = _Clicks(group, decide, self._web)
            while True:
                pause_s = CHECK_S
                try:
                    async with _connected(self._config, clicks) as client:
                        log.info("slack_connected")
                        back_off_s = CHECK_S
                        while await client.is_connected():  # noqa: ASYNC110 - the SDK has no event
                            await asyncio.sleep(CHECK_S)
                        log.info("slack_disconnected")
                except TransientError as error:
                    pause_s = max(back_off_s, error.retry_after_s or 0.0)
                    back_off_s = min(2 * back_off_s, MAX_PAUSE_S)
                    log.warning("slack_unreachable", error=str(error), pause_s=pause_s)
                except PermanentError as error:
                    # Only a person can help; the engine goes on, and `quell approve` works.
                    pause_s = MAX_PAUSE_S
                    log.error("slack_refused", error=str(error), pause_s=pause_s)
                await asyncio.sleep(pause_s)


class _Clicks:
    """Envelopes under way, each in a task of its own, over all the connections of one listener."""

    def __init__(self, group: asyncio.TaskGroup, decide: Decide, web: "AsyncWebClient") -> None:
        self._group = group
        self._decide = decide
        self._web = web
        self._client: SocketModeClient | None = None
        self._under_way = 0

    def answer_by(self, client: "SocketModeClient") -> None:
        """Acknowledge by this connection: the one that brought an envelope may be gone by then."""
        self._client = client

    async def hear(self, _client: "SocketModeClient", message: Json, _raw: str | None) -> None:
        """A listener of the SDK's: it is called with every frame and must return at once."""
        if not isinstance(message, dict) or not isinstance(message.get("envelope_id"), str):
            return  # a hello, for instance, wants no answer
        if self._under_way >= MAX_CLICKS:
            log.error("slack_click_refused", under_way=self._under_way)
            return
        self._under_way += 1
        self._group.create_task(self._supervise(str(message["envelope_id"]), message))

    async def _supervise(self, envelope_id: str, message: Json) -> None:
        """One click's failure touches no other; without an answer Slack shows a warning sign."""
        try:
            await self._handle(envelope_id, message)
        except TransientError as error:
            log.warning("slack_click_undecided", envelope_id=envelope_id, error=str(error))
        except Exception as error:
            log.exception("slack_click_failed", envelope_id=envelope_id, error=str(error))
        finally:
            self._under_way -= 1

    async def _handle(self, envelope_id: str, message: Json) -> None:
        try:
            pressed = pressed_in(message)
        except PayloadError as error:
            log.warning("slack_envelope_ignored", envelope_id=envelope_id, error=str(error))
            await self._acknowledge(envelope_id)
            return
        # An envelope that comes twice is decided twice: the first decision stands.
        sentence = await self._decide(pressed.click)
        await self._acknowledge(envelope_id)
        await self._whisper(pressed, sentence)

    async def _acknowledge(self, envelope_id: str) -> None:
        import aiohttp

        if self._client is None:
            return
        try:
            await self._client.send_socket_mode_response({"envelope_id": envelope_id})
        except (aiohttp.ClientError, OSError) as error:
            kind = type(error).__name__
            log.warning("slack_acknowledgement_lost", envelope_id=envelope_id, error=kind)

    async def _whisper(self, pressed: Pressed, sentence: str) -> None:
        """Tell the person alone; the message itself tells everybody once it is updated."""
        if not pressed.channel:
            return
        whisper = self._web.chat_postEphemeral(
            channel=pressed.channel, user=pressed.user, text=escaped(sentence, MAX_WHISPER)
        )
        try:
            await answer_of("chat.postEphemeral", whisper)
        except (TransientError, PermanentError) as error:
            log.warning("slack_whisper_failed", error=str(error))


@asynccontextmanager
async def _connected(config: SlackConfig, clicks: _Clicks) -> "AsyncIterator[SocketModeClient]":
    """A websocket that is open. Raises TransientError or PermanentError."""
    client = _client(config)
    client.message_listeners.append(clicks.hear)  # type: ignore[arg-type]  # typed as its own kind
    try:
        opened = await answer_of(
            "apps.connections.open",
            client.web_client.apps_connections_open(app_token=client.app_token),
        )
        client.wss_uri = str(opened.get("url"))
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise TransientError(
                f"no websocket to Slack within {CONNECT_S:.0f} s; does a proxy or firewall stop it?"
            ) from None
        clicks.answer_by(client)
        yield client
    finally:
        await _close(client)


def _client(config: SlackConfig) -> "SocketModeClient":
    """The SDK's client without its own reconnecting.

    Its connect() tries one address for ever, and an address works once; and where it can't get a
    new one, it stays on a connection that brings nothing any more.
    """
    from slack_sdk.socket_mode.aiohttp import SocketModeClient

    class Connection(SocketModeClient):
        @override
        async def connect_to_new_endpoint(self, force: bool = False) -> None:
            """Slack asks the app to move (every few hours): leave; the caller connects again."""
            await self.disconnect()  # type: ignore[no-untyped-call]

    return Connection(
        app_token=config.app_token.get_secret_value(),
        logger=silent_logger(),
        web_client=web_client(config),
        auto_reconnect_enabled=False,
    )


async def _close(client: "SocketModeClient") -> None:
    """Leave politely while that takes no longer than it should, and leave nothing behind."""
    import aiohttp

    loops = [
        loop
        for loop in (
            client.message_processor,
            client.current_session_monitor,
            client.message_receiver,
        )
        if loop is not None
    ]
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(CLOSE_S):
            await client.close()  # type: ignore[no-untyped-call]
    # close() stops at its first failure, and doesn't wait for what it cancels.
    for loop in loops:
        loop.cancel()
    await client.aiohttp_client_session.close()
    await asyncio.wait(loops, timeout=CLOSE_S)
