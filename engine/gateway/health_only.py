"""The pages of a process without a gateway: whether it is well, and its metrics; nothing else."""

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from engine.gateway.problems import problem
from engine.gateway.service import HEALTH_PATHS

_PAGES = HEALTH_PATHS | {"/metrics"}


class HealthOnly:
    """Passes requests for these pages to the gateway, which knows who may read them."""

    def __init__(self, gateway: ASGIApp) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http" or scope["path"] in _PAGES:
            await self._gateway(scope, receive, send)
            return
        detail = "this process has no gateway: alerts and orders go to one that has"
        await problem(HTTPStatus.NOT_FOUND, detail)(scope, receive, send)
