import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from benchmarks.senders import api_alert, api_body, cpu_s, post_all, webhook_body


class Taker(BaseHTTPRequestHandler):
    """Takes each body at its second coming, except "bad", which it never takes."""

    protocol_version = "HTTP/1.1"
    came: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append(body)
        status = 400 if body == b"bad" else 200 if self.came.count(body) == 2 else 503
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Retry-After", "0")
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def taker() -> Iterator[str]:
    Taker.came = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    serving.join()


def test_each_body_is_sent_until_it_is_taken(taker: str) -> None:
    bodies = [b"%d" % n for n in range(20)]
    post_all(taker, "/", bodies, connections=3)
    assert sorted(Taker.came) == sorted(bodies * 2)


def test_a_body_that_is_refused_fails_the_measurement(taker: str) -> None:
    with pytest.raises(AssertionError):
        post_all(taker, "/", [b"bad"], connections=1)


def test_bodies_are_those_of_the_two_forms() -> None:
    (alert,) = json.loads(api_body([api_alert(1, 2)]))
    assert set(alert) == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert json.loads(webhook_body([{"labels": {}}]))["alerts"] == [{"labels": {}}]


def test_processor_time_is_above_nothing() -> None:

    assert cpu_s(os.getpid()) > 0
