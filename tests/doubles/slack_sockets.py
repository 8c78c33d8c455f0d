"""Slack's end of Socket Mode: tickets, hello, envelopes, acknowledgements, disconnects, pings.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import json
import time
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web
from pydantic import ValidationError
from slack_sdk.socket_mode.request import SocketModeRequest

from tests.doubles import slack_wire as wire
from tests.doubles.traffic import Traffic

MAX_CONNECTIONS = 10
HOST = "applink-double"
CALL = "socket-mode"


class NotConnectedError(Exception):
    """The app has no socket open; a person would see that the click did nothing."""


@dataclass(slots=True, eq=False)
class Connection:
    """One open websocket. A retired one was told to leave and gets no more envelopes."""

    number: int
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    retired: bool = False
    pongs: int = 0


@dataclass(slots=True)
class Delivery:
    """An envelope under way; `latency_s` stays None until the app has acknowledged it."""

    connection: int
    sent_at_s: float = field(default_factory=time.monotonic)
    latency_s: float | None = None


class Sockets:
    """All sockets of the app. Coroutines run on the server's loop; the rest runs anywhere."""

    def __init__(self, traffic: Traffic, app_id: str) -> None:
        self._traffic = traffic
        self._app_id = app_id
        self._tickets: set[str] = set()
        self._issued = 0
        self._opened = 0
        self._turn = 0
        self._connections: list[Connection] = []
        self._deliveries: dict[str, Delivery] = {}

    def issue_ticket(self) -> str:
        """What lets one websocket in, once."""
        with self._traffic.changed:
            self._issued += 1
            ticket = f"ticket-{self._issued}"
            self._tickets.add(ticket)
            return ticket

    def live(self) -> tuple[Connection, ...]:
        """The connections that may be handed an envelope."""
        with self._traffic.changed:
            return tuple(c for c in self._connections if not c.retired)

    def latency_s(self, envelope_id: str) -> float | None:
        with self._traffic.changed:
            return self._deliveries[envelope_id].latency_s

    async def serve(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        with self._traffic.changed:
            if ticket not in self._tickets:
                return web.Response(status=403, text="invalid ticket")
            self._tickets.remove(ticket)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        if len(self.live()) >= MAX_CONNECTIONS:
            await socket.send_str(_text(_disconnect("too_many_websockets")))
            await socket.close()
            return socket
        connection = await self._welcome(socket, transport)
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._acknowledge(frame.data)
                elif frame.type is WSMsgType.PING:
                    await socket.pong(frame.data)
                elif frame.type is WSMsgType.PONG:
                    with self._traffic.changed:
                        connection.pongs += 1
                        self._traffic.changed.notify_all()
        finally:
            with self._traffic.changed:
                self._connections.remove(connection)
                self._traffic.changed.notify_all()
        return socket

    async def deliver(self, envelope: wire.Envelope) -> None:
        """Hand an envelope to one of the connections, each in turn.

        Raises:
            NotConnectedError: none is open.
        """
        live = self.live()
        if not live:
            raise NotConnectedError("the app has no Socket Mode connection open")
        self._turn += 1
        connection = live[self._turn % len(live)]
        body = envelope.model_dump(exclude_none=True)
        body["payload"]["enterprise"] = None
        if SocketModeRequest.from_dict(body) is None:
            raise AssertionError(f"slack_sdk would not take this envelope: {body!r}")
        with self._traffic.changed:
            self._deliveries[envelope.envelope_id] = Delivery(connection.number)
        await connection.socket.send_str(json.dumps(body))

    async def disconnect_all(self, reason: str) -> None:
        """Ask the app to come back on a new websocket, as Slack does every few hours."""
        for connection in self.live():
            connection.retired = True
            await connection.socket.send_str(_text(_disconnect(reason)))

    async def cut_all(self) -> None:
        """End every TCP connection without a word."""
        for connection in self.live():
            connection.retired = True
            connection.transport.abort()

    async def ping_all(self) -> None:
        for connection in self.live():
            await connection.socket.ping(f"Ping from {HOST}".encode())

    async def close_all(self) -> None:
        with self._traffic.changed:
            open_ones = list(self._connections)
        for connection in open_ones:
            await connection.socket.close()

    async def _welcome(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport
    ) -> Connection:
        with self._traffic.changed:
            self._opened += 1
            connection = Connection(self._opened, socket, transport)
            number_of_connections = len(self.live()) + 1
        hello = wire.Hello(
            num_connections=number_of_connections,
            debug_info=wire.DebugInfo(
                host=HOST, build_number=10, approximate_connection_time=18060
            ),
            connection_info=wire.ConnectionInfo(app_id=self._app_id),
        )
        await socket.send_str(_text(hello))
        with self._traffic.changed:
            self._connections.append(connection)
            self._traffic.changed.notify_all()
        return connection

    def _acknowledge(self, text: str) -> None:
        received_s = time.monotonic()
        request = self._traffic.record(CALL, text)
        try:
            answer = wire.Acknowledgement.model_validate_json(text)
        except ValidationError as error:
            self._traffic.refuse(request, 0, str(error))
            return
        with self._traffic.changed:
            delivery = self._deliveries.get(answer.envelope_id)
            if delivery is None or delivery.latency_s is not None:
                self._traffic.refuse(request, 0, "no envelope with this id waits for an answer")
                return
            delivery.latency_s = received_s - delivery.sent_at_s
            self._traffic.changed.notify_all()


def _disconnect(reason: str) -> wire.Disconnect:
    return wire.Disconnect.model_validate({"reason": reason, "debug_info": {"host": HOST}})


def _text(frame: wire.Wire) -> str:
    return frame.model_dump_json(exclude_none=True)
