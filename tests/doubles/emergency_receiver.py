"""What an emergency address leads to: takes `{"text": …}`, as chat systems' webhooks do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import web

from tests.doubles.server_thread import ServerThread


class EmergencyReceiver:
    """Keeps what it was told; answers `status` to all that is well-formed."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.status = HTTPStatus.OK
        app = web.Application()
        app.router.add_post("/hook/{secret}", self._take)
        self._thread = ServerThread(app, "emergency-receiver")

    @property
    def settings(self) -> dict[str, Any]:
        """The sections of quell.yaml that lead here."""
        return {
            "emergency": {"url": f"http://{self._thread.address}/hook/s3cr3t"},
            "egress": {"allow": ["127.0.0.1"]},
        }

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        if set(body) != {"text"} or not isinstance(body["text"], str):
            return web.Response(status=400, text="no_text")
        self.texts.append(body["text"])
        return web.Response(status=self.status)

    @contextmanager
    def running(self) -> Iterator["EmergencyReceiver"]:
        """Listen while this is open."""
        self._thread.start()
        try:
            yield self
        finally:
            self._thread.stop()
