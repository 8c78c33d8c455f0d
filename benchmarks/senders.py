"""Senders of alerts that keep their connections, and the processor time of who takes them."""

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

import psutil

from benchmarks.open_occurrences import alert

WEBHOOK_PATH = "/v1/alerts/alertmanager"
API_PATH = "/api/v2/alerts"
_JSON = {"Content-Type": "application/json"}


def api_alert(number: int, service: int) -> Mapping[str, object]:
    """As Prometheus sends it to Alertmanager's own API: no status, an end that resending moves."""
    whole = alert(number, service)
    ends_at = datetime.now(UTC) + timedelta(hours=4)
    kept = {name: whole[name] for name in ("labels", "annotations", "startsAt", "generatorURL")}
    return {**kept, "endsAt": ends_at.isoformat().replace("+00:00", "Z")}


def api_body(alerts: Sequence[Mapping[str, object]]) -> bytes:
    """A body of Alertmanager's own API, without spaces as Go writes it."""
    return json.dumps(alerts, separators=(",", ":")).encode()


def webhook_body(alerts: Sequence[Mapping[str, object]]) -> bytes:
    """A body of Alertmanager's webhook."""
    whole = {"version": "4", "status": "firing", "alerts": alerts}
    return json.dumps(whole, separators=(",", ":")).encode()


def post_all(url: str, path: str, bodies: Sequence[bytes], connections: int) -> None:
    """Send all, so many at a time, each connection the next one right after its answer.

    Raises AssertionError for an answer other than 200; one that is told 503 comes again.
    """
    waiting: SimpleQueue[bytes] = SimpleQueue()
    for body in bodies:
        waiting.put(body)

    def send() -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        with closing(connection):
            for body in _taken(waiting):
                post(connection, path, body)

    with ThreadPoolExecutor(connections) as senders:
        for sending in [senders.submit(send) for _ in range(connections)]:
            sending.result()


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
    """Send one body until it is taken; how often it was told 503 before."""
    refused = 0
    while True:
        connection.request("POST", path, body, _JSON)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 503:
            break
        refused += 1
        time.sleep(float(answer.headers["Retry-After"]))
    assert answer.status == 200, said
    return refused


def _taken(waiting: SimpleQueue[bytes]) -> Iterator[bytes]:
    try:
        while True:
            yield waiting.get_nowait()
    except Empty:
        return


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, all its threads together."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
