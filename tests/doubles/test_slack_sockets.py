"""Slack's end of Socket Mode, frame by frame, as a client without the SDK sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.doubles.slack_server import SlackServer
from tests.doubles.slack_sockets import MAX_CONNECTIONS
from tests.doubles.traffic import JsonObject

DEADLINE_S = 5.0


@asynccontextmanager
async def raw_socket(slack: SlackServer) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    opened = await AsyncWebClient(base_url=slack.base_url).apps_connections_open(
        app_token=slack.app_token
    )
    async with aiohttp.ClientSession() as session, session.ws_connect(opened["url"]) as socket:
        yield socket


async def test_a_ticket_lets_one_websocket_in(slack: SlackServer) -> None:
    opened = await AsyncWebClient(base_url=slack.base_url).apps_connections_open(
        app_token=slack.app_token
    )
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(opened["url"])


async def test_an_eleventh_websocket_is_turned_away(slack: SlackServer) -> None:
    async with AsyncExitStack() as open_ones:
        for _ in range(MAX_CONNECTIONS):
            socket = await open_ones.enter_async_context(raw_socket(slack))
            await socket.receive_json()
        async with raw_socket(slack) as one_more:
            assert (await one_more.receive_json())["reason"] == "too_many_websockets"


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param({"envelope_id": "envelope-9"}, id="unknown envelope"),
        pytest.param({"envelope_id": "envelope-1", "payload": {}}, id="payload not accepted"),
    ],
)
async def test_a_wrong_acknowledgement_is_remembered(slack: SlackServer, frame: JsonObject) -> None:
    async with raw_socket(slack) as socket:
        await socket.send_json(frame)
        (refusal,) = await asyncio.to_thread(slack.wait_for, slack.refusals, DEADLINE_S)
    assert json.loads(refusal.request.arguments) == frame
