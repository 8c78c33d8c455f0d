"""A Pub/Sub push subscription: signs its requests, and sends again what isn't acknowledged.

https://docs.cloud.google.com/pubsub/docs/push: only 102, 200, 201, 202 and 204 acknowledge; all
else is sent again, from 0.1 s to 60 s later, until the message's retention ends.
"""

import base64
import http.client
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.services.key_issuer import KeyIssuer

ACKNOWLEDGE = frozenset({102, 200, 201, 202, 204})
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 60.0
ANSWER_WITHIN_S = 30.0


@dataclass
class Pushed:
    """A message on its way. `answers` are the statuses so far, 0 for no connection."""

    message_id: str
    data: bytes
    published_s: float
    answers: list[int] = field(default_factory=list)
    due_s: float = 0.0


@dataclass
class PushSubscription:
    """Sends to `endpoint`, with a token of `issuer` where there is one.

    `now` is the time that the tokens are of; pauses are on the monotonic clock. `wrapped` as a
    subscription has it by default, else the data alone. `headers` are what a proxy adds.
    """

    endpoint: str
    issuer: KeyIssuer | None = None
    audience: str = ""
    email: str = "pusher@acme-ops.iam.gserviceaccount.com"
    name: str = "projects/acme-ops/subscriptions/quell"
    retention_s: float = 7 * 86_400.0
    wrapped: bool = True
    now: Callable[[], float] = time.time
    headers: Mapping[str, str] = field(default_factory=dict)
    waiting: list[Pushed] = field(default_factory=list)
    delivered: list[Pushed] = field(default_factory=list)
    expired: list[Pushed] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    _published: int = 0

    def publish(self, notification: Any) -> Pushed:
        """What Cloud Monitoring would publish; bytes as they are."""
        self._published += 1
        data = (
            notification if isinstance(notification, bytes) else json.dumps(notification).encode()
        )
        pushed = Pushed(str(self._published), data, time.monotonic())
        self.waiting.append(pushed)
        return pushed

    def deliver(self, within_s: float) -> None:
        """Send what is due, until all is acknowledged, expired, or the time is over."""
        ends_s = time.monotonic() + within_s
        while self.waiting and time.monotonic() < ends_s:
            for pushed in [each for each in self.waiting if each.due_s <= time.monotonic()]:
                self.attempt(pushed)
            if self.waiting:
                next_s = min(each.due_s for each in self.waiting)
                time.sleep(max(0.0, min(next_s, ends_s) - time.monotonic()))

    def attempt(self, pushed: Pushed) -> int:
        """Send one message once; its status, 0 for no connection."""
        now_s = time.monotonic()
        if now_s - pushed.published_s > self.retention_s:
            self.waiting.remove(pushed)
            self.expired.append(pushed)
            return 0
        status = self._post(pushed)
        pushed.answers.append(status)
        self.answers[status] += 1
        if status in ACKNOWLEDGE:
            self.waiting.remove(pushed)
            self.delivered.append(pushed)
        else:
            pause_s = FIRST_PAUSE_S * 2.0 ** (len(pushed.answers) - 1)
            pushed.due_s = time.monotonic() + min(pause_s, MAX_PAUSE_S)
        return status

    def request(self, pushed: Pushed) -> tuple[Mapping[str, str], bytes]:
        """Headers and body."""
        own = {"content-type": "application/json", "user-agent": "CloudPubSub-Google"}
        headers = {**self.headers, **own}
        if self.issuer is not None:
            headers["authorization"] = f"Bearer {self.token()}"
        if not self.wrapped:
            headers["x-goog-pubsub-subscription-name"] = self.name
            headers["x-goog-pubsub-message-id"] = pushed.message_id
            return headers, pushed.data
        message = {
            "data": base64.b64encode(pushed.data).decode(),
            "messageId": pushed.message_id,
            "message_id": pushed.message_id,
            "publishTime": "2026-03-01T12:00:00.123Z",
            "publish_time": "2026-03-01T12:00:00.123Z",
        }
        return headers, json.dumps({"message": message, "subscription": self.name}).encode()

    def token(self, **changes: Any) -> str:
        """As Google signs it; an hour long."""
        assert self.issuer is not None
        at = int(self.now())
        claims = {
            "aud": self.audience,
            "azp": "113774264463038321964",
            "email": self.email,
            "email_verified": True,
            "exp": at + 3600,
            "iat": at,
            "iss": "https://accounts.google.com",
            "sub": "113774264463038321964",
        }
        return self.issuer.token({**claims, **changes}, "key-1")

    def _post(self, pushed: Pushed) -> int:
        parts = urlsplit(self.endpoint)
        headers, body = self.request(pushed)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
        return answer.status
