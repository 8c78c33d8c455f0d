"""The gateway as one ASGI application: who may do what, then alert intake or REST API."""

from dataclasses import replace
from http import HTTPStatus

import structlog
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.errors import PayloadError, TransientError
from engine.gateway.access import (
    CERTIFICATE_NAMES,
    bearer_token,
    headers_of,
    is_local,
    peer_of,
    query_of,
)
from engine.gateway.api import build_api
from engine.gateway.body import BodyReader, Incoming, Refused, answer
from engine.gateway.intake import AlertIntake, knock
from engine.gateway.masked_answer import masked
from engine.gateway.orders import ORDERED_BY
from engine.gateway.parts import GatewayParts
from engine.gateway.problems import PROBLEM_TYPE, problem, unauthorised, unavailable
from engine.gateway.service import ALERTMANAGER_STATUS_PATH, HEALTH_PATHS
from engine.ports import strict_json
from engine.ports.api import TERMINAL_AGENT
from engine.ports.source import Sender

INTAKE_PREFIX = "/v1/alerts/"
# Alertmanager's own API: Prometheus and amtool can't be told another path.
ALERTMANAGER_PATH = "/api/v2/alerts"
ALERTMANAGER_KIND = "alertmanager"

_READING = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.get_logger()


def build_gateway(parts: GatewayParts) -> ASGIApp:
    """The whole gateway.

    The server in front must bound the time that a request's headers may take: ASGI begins after
    them.
    """
    return Gateway(parts)


class Gateway:
    """Checks access, reads bodies within their limits, and passes on."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        limits = parts.limits
        self._bodies = BodyReader(limits.read_deadline_s, limits.in_flight_bytes)
        self._intake = AlertIntake(parts, self._bodies)
        self._api = build_api(parts)
        parts.metrics.build_info.labels(parts.version).set(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        send = masked(send)
        headers, incoming = headers_of(scope["headers"]), Incoming(receive)
        peer, certificate = peer_of(scope), scope.get(CERTIFICATE_NAMES, ())
        open_ = self._parts.loopback and is_local(headers)
        if (proxy := self._parts.proxy) is not None:
            headers.pop(proxy.header, None)
            if proxy.is_at(peer):
                # Who is behind it is elsewhere.
                certificate, open_ = proxy.names(scope["headers"]), False
        path: str = scope["path"]
        form = "api" if path == ALERTMANAGER_PATH else ""
        sender = Sender(headers, query_of(scope["query_string"]), form, certificate, peer)
        if form:
            address = ALERTMANAGER_KIND
        elif path.startswith(INTAKE_PREFIX):
            address = path.removeprefix(INTAKE_PREFIX)
        else:
            await self._pass_on(scope, incoming, send, sender, open_=open_)
            return
        if scope["method"] == "POST":
            response = await self._intake.respond(address, sender, incoming, open_=open_)
        else:
            response = problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "alerts are sent by POST", headers={"allow": "POST"}
            )
        if form and response.headers["content-type"] == PROBLEM_TYPE:
            # amtool reads no other, and would hide the status behind "no consumer".
            response.headers["content-type"] = "application/json"
        await answer(response, incoming, scope, send)

    async def _pass_on(
        self,
        scope: Scope,
        incoming: Incoming,
        send: Send,
        sender: Sender,
        *,
        open_: bool,
    ) -> None:
        """To the REST API, with the order's body already read and known to be sound."""
        if refusal := await self._refusal(scope, sender, open_=open_):
            await answer(refusal, incoming, scope, send)
            return
        if scope["method"] in _READING:
            await self._api(scope, incoming.receive, send)
            return
        limits = self._parts.limits
        async with self._bodies.read(incoming, sender.headers, limits.order_bytes) as body:
            if isinstance(body, Refused):
                await answer(self._refused(body), incoming, scope, send)
                return
            try:
                # A key that is there twice could be read one way here and another way elsewhere.
                if body:
                    strict_json.decode(body)
            except PayloadError as error:
                await answer(problem(HTTPStatus.BAD_REQUEST, str(error)), incoming, scope, send)
                return
            await self._api(scope, incoming.replay(body), send)

    def _refused(self, refused: Refused) -> Response:
        if refused.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return unavailable(refused.detail, self._parts.limits.retry_after_s)
        return problem(refused.status, refused.detail)

    async def _refusal(self, scope: Scope, sender: Sender, *, open_: bool) -> Response | None:
        """401 unless the caller may do this; else the holder of its token is left in the scope."""
        path, method = scope["path"], scope["method"]
        if path in HEALTH_PATHS:
            return None
        token = bearer_token(sender.headers)
        if token and (by := self._parts.authenticate(token)):
            from_terminal = sender.headers.get("user-agent", "") == TERMINAL_AGENT
            scope[ORDERED_BY] = replace(by, via="cli") if from_terminal else by
            return None
        if method in _READING and open_:
            return None
        if path == ALERTMANAGER_STATUS_PATH and await self._is_sender(sender):
            return None
        if refusal := self._intake.stranger_waits(sender.peer):
            return refusal
        why = "wrong token" if token else "no token"
        if all(route.matches(scope)[0] is Match.NONE for route in self._api.routes):
            why += ", and nothing is at this path; alerts are sent to /v1/alerts/NAME"
        log.warning("request_denied", path=path[:200], method=method, why=why)
        return unauthorised()

    async def _is_sender(self, sender: Sender) -> bool:
        """Whether it is one that may send alerts by Alertmanager's API."""
        candidates = self._parts.sources.get(ALERTMANAGER_KIND, ())
        try:
            door = await knock(candidates, sender, self._parts.clock.now())
        except TransientError:
            return False
        return door.source is not None
