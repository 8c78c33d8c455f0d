"""Senders that keep their connection, as Alertmanagers do, and send again what was not taken."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# As Alertmanager's default for a webhook's time-out would be far longer than any answer here.
ANSWER_WITHIN_S = 30.0
RETRY_S = 0.2

Labels = Mapping[str, str]


@dataclass
class Sent:
    """What all senders saw: answers by status (0: no connection), and the longest wait for one."""

    answers: Counter[int] = field(default_factory=Counter)
    longest_s: float = 0.0
    taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int, took_s: float) -> None:
        with self._lock:
            self.answers[status] += 1
            self.longest_s = max(self.longest_s, took_s)
            self.taken += status == 200


class Sender:
    """One connection; a sender's own alerts go one after the other."""

    def __init__(self, address: str, sent: Sent) -> None:
        self._address = address
        self._sent = sent
        self._connection: http.client.HTTPConnection | None = None

    def send(self, labels: Labels, *, until_taken: bool = True) -> int:
        """One firing alert, again and again until it is taken; the last answer."""
        alert = {"status": "firing", "labels": dict(labels), "startsAt": "2026-03-01T12:00:00Z"}
        body = json.dumps({"version": "4", "alerts": [alert]}).encode()
        while True:
            began = time.monotonic()
            status = self._post(body)
            self._sent.note(status, time.monotonic() - began)
            if status == 200 or not until_taken:
                return status
            time.sleep(RETRY_S)

    def _post(self, body: bytes) -> int:
        try:
            if self._connection is None:
                host = self._address.removeprefix("http://")
                self._connection = http.client.HTTPConnection(host, timeout=ANSWER_WITHIN_S)
            self._connection.request(
                "POST", "/v1/alerts/alertmanager", body, {"content-type": "application/json"}
            )
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0
        return answer.status

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Flow:
    """Several senders at once over one list of alerts, in shares; as fast as answered."""

    address: str
    alerts: Sequence[Labels]
    senders: int = 8
    sent: Sent = field(default_factory=Sent)
    # Between two alerts of a sender; may be changed while it flows.
    pause_s: float = 0.0

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=self._send, args=(self.alerts[n :: self.senders],), daemon=True)
            for n in range(self.senders)
        ]
        for thread in self._threads:
            thread.start()

    def join(self, deadline_s: float) -> None:
        """Wait until every alert was taken. Raises TimeoutError."""
        end = time.monotonic() + deadline_s
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))
            if thread.is_alive():
                raise TimeoutError(f"not all alerts taken in {deadline_s:g} s: {self.sent}")

    def _send(self, alerts: Sequence[Labels]) -> None:
        sender = Sender(self.address, self.sent)
        for labels in alerts:
            sender.send(labels)
            time.sleep(self.pause_s)
        sender.close()


def send_one(address: str, labels: Labels) -> int:
    """One alert over a connection of its own; the answer, 0 without one."""
    sender = Sender(address, Sent())
    try:
        return sender.send(labels, until_taken=False)
    finally:
        sender.close()
