"""A fake of what quell uses of Google Cloud: tokens, Pub/Sub's pull, Cloud Monitoring's alerts.

Stateful, on a clock of its own: messages are leased until their deadline and come again. Each
request and each answer is checked against Google's discovery documents.
"""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from tests.doubles.server_thread import ServerThread
from tests.services.discovery import discovery
from tests.services.key_issuer import KeyIssuer

ACCOUNT = "quell@acme-ops.iam.gserviceaccount.com"
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
# How long an empty pull is held; Google's is over a minute.
HOLD_S = 0.02


@dataclass
class Message:
    """One message of a subscription; leased while `leased_until` is ahead."""

    message_id: str
    data: bytes
    attributes: dict[str, str]
    ack_id: str = ""
    leased_until: float = 0.0
    attempts: int = 0
    acknowledged: bool = False


@dataclass
class GoogleCloud:
    """The state, which a test looks at and sets; any thread may."""

    ack_deadline_s: float = 10.0
    now_s: float = 1_000.0
    messages: dict[str, list[Message]] = field(default_factory=dict)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    answers_instead: bytes | None = None
    forbidden: set[str] = field(default_factory=set)
    """Ids of methods that the account may not call."""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    issued: int = 0
    exchanged: list[str] = field(default_factory=list)
    """Workloads' own tokens that were exchanged (RFC 8693)."""
    token_faults: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What was asked or answered against the published model."""
    url: str = ""
    _key: KeyIssuer = field(default_factory=lambda: KeyIssuer("account"))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, subscription: str, data: bytes, **attributes: str) -> Message:
        with self._lock:
            queue = self.messages.setdefault(subscription, [])
            message = Message(str(len(queue) + 1), data, attributes)
            queue.append(message)
            return message

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now_s += seconds

    def calls_of(self, name: str) -> list[Any]:
        return [body for method_id, body in self.calls if method_id.endswith(f".{name}")]

    def key_file(self, folder: Path) -> Path:
        """A service account's key, as the console gives it."""
        pem = self._key.add("account-key").private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = folder / "account.json"
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": "acme-ops",
                    "private_key_id": "account-key",
                    "private_key": pem.decode(),
                    "client_email": ACCOUNT,
                    "client_id": "1",
                    "token_uri": f"{self.url}/token",
                }
            )
        )
        return path

    def grant(self, form: Mapping[str, Any]) -> web.Response:
        """RFC 7523: an assertion that the account signed, for a token."""
        if self.token_faults:
            status = self.token_faults.pop(0)
            return web.json_response({"error": "invalid_grant"}, status=status)
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = jwt.decode(
            str(form["assertion"]),
            self._key.keys["account-key"].public_key(),
            algorithms=["RS256"],
            # Whatever the key's file says: google-auth signs for this one.
            audience="https://oauth2.googleapis.com/token",
            issuer=ACCOUNT,
        )
        assert "https://www.googleapis.com/auth/pubsub" in claims["scope"].split()
        return self._issue({})

    def exchange(self, form: Mapping[str, Any]) -> web.Response:
        """RFC 8693: a workload's own token, for one of Google's."""
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
        self.exchanged.append(str(form["subject_token"]))
        return self._issue({"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def _issue(self, more: Mapping[str, str]) -> web.Response:
        self.issued += 1
        token = f"ya29.{self.issued}-{'secret' * 4}"
        self.tokens.add(token)
        granted = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        return web.json_response({**granted, **more})

    def take(self, path: str, method: str, authorization: str, text: bytes) -> tuple[int, Any]:
        """The status and the body that are answered."""
        if self.faults:
            return refused(self.faults.pop(0))
        if authorization.removeprefix("Bearer ") not in self.tokens:
            return refused(401)
        api = discovery("monitoring.v3" if path.startswith("/v3/") else "pubsub.v1")
        body = json.loads(text) if text else None
        method_id = api.asked(method, path, body)
        self.calls.append((method_id, body))
        if method_id in self.forbidden:
            return refused(403)
        if method_id.endswith("alerts.get"):
            found = self.alerts.get(path.removeprefix("/v3/"))
            return refused(404) if found is None else (200, api.answers(method_id, found))
        subscription, _, verb = path.removeprefix("/v1/").partition(":")
        with self._lock:
            if subscription not in self.messages:
                return refused(404)
            answer = getattr(self, f"_{verb}")(self.messages[subscription], body)
        return 200, api.answers(method_id, answer)

    def _pull(self, queue: list[Message], body: Any) -> Any:
        assert 0 < body["maxMessages"] <= 1000
        due = [m for m in queue if not m.acknowledged and m.leased_until <= self.now_s]
        received = []
        for message in due[: body["maxMessages"]]:
            message.attempts += 1
            message.ack_id = f"{message.message_id}-{message.attempts}"
            message.leased_until = self.now_s + self.ack_deadline_s
            told: dict[str, Any] = {
                "messageId": message.message_id,
                "publishTime": "2026-03-01T12:00:00.123Z",
            }
            if message.data:
                told["data"] = base64.b64encode(message.data).decode()
            if message.attributes:
                told["attributes"] = message.attributes
            received.append({"ackId": message.ack_id, "message": told})
        return {"receivedMessages": received} if received else {}

    def _acknowledge(self, queue: list[Message], body: Any) -> Any:
        assert body["ackIds"], "Must not be empty"
        for message in queue:
            # An id of an earlier delivery may still count, and mostly does not.
            if message.ack_id in body["ackIds"] and message.leased_until > self.now_s:
                message.acknowledged = True
        return {}

    def _modifyAckDeadline(self, queue: list[Message], body: Any) -> Any:
        assert 0 <= body["ackDeadlineSeconds"] <= 600
        for message in queue:
            if message.ack_id in body["ackIds"]:
                message.leased_until = self.now_s + body["ackDeadlineSeconds"]
        return {}


def refused(status: int) -> tuple[int, Any]:
    """An error as all of Google's REST APIs write it."""
    said = {"code": status, "message": "said by the fake", "status": STATUSES[status]}
    return status, {"error": said}


@contextmanager
def google_cloud() -> Iterator[GoogleCloud]:
    """On a loopback port of its own. A call that Google doesn't publish fails the test."""
    state = GoogleCloud()

    async def token(request: web.Request) -> web.Response:
        return state.grant({**await request.post()})

    async def exchange(request: web.Request) -> web.Response:
        return state.exchange({**await request.post()})

    async def call(request: web.Request) -> web.Response:
        text = await request.read()
        authorization = request.headers.get("authorization", "")
        if state.answers_instead is not None:
            return web.Response(body=state.answers_instead)
        try:
            status, body = state.take(request.path, request.method, authorization, text)
        except Exception as error:
            state.wrong.append(repr(error))
            raise
        if body == {} and request.path.endswith(":pull"):
            await asyncio.sleep(HOLD_S)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/token", token)
    app.router.add_post("/exchange", exchange)
    app.router.add_route("*", "/{path:.*}", call)
    server = ServerThread(app, "google cloud")
    server.start()
    state.url = f"http://{server.address}"
    try:
        yield state
    finally:
        server.stop()
    assert not state.wrong
