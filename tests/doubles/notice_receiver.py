"""Plays quell's source `cloudevents`: takes notices of the published shape, or fails as told."""

import json
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
from aiohttp import web

from tests.doubles.server_thread import ServerThread

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notice-v1.json").read_text())
CHECKER = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
WITHIN_S = 20.0


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = field(default_factory=lambda: {"accepted": 1, "rejected": []})


class NoticeReceiver:
    """What it took, in order; the answers of `script` come first, then 200 for ever."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.requests: queue.Queue[web.Request] = queue.Queue()
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        app = web.Application()
        app.router.add_post("/v1/alerts/{source}", self._take)
        self._thread = ServerThread(app, "notice-receiver")

    @property
    def url(self) -> str:
        return f"http://{self._thread.address}"

    def next_event(self) -> dict[str, Any]:
        """The next one that was accepted."""
        return self.events.get(timeout=WITHIN_S)

    def next_request(self) -> web.Request:
        """The next one, accepted or not."""
        return self.requests.get(timeout=WITHIN_S)

    async def _take(self, request: web.Request) -> web.Response:
        self.requests.put(request)
        answer = self.script.pop(0) if self.script else Answer()
        body = json.loads(await request.read())
        batch = request.content_type == "application/cloudevents-batch+json"
        events = body if batch else [body]
        if not batch and request.content_type != "application/cloudevents+json":
            return web.Response(status=422, text=f"{request.content_type}?")
        for event in events:
            check(event)
        if answer.status == 200:
            for event in events:
                self.events.put(event)
        return web.json_response(answer.body, status=answer.status, headers=dict(answer.headers))

    @contextmanager
    def running(self) -> Iterator["NoticeReceiver"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._thread.stop()


def check(event: Mapping[str, Any]) -> None:
    """Raise where it is no CloudEvent 1.0 with a notice in it."""
    assert event["specversion"] == "1.0"
    assert event["type"] == "quell.notice.v1"
    assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "time"))
    CHECKER.validate(event["data"])
