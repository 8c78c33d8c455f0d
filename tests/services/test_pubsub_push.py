"""The scripted push subscription keeps Pub/Sub's rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from typing_extensions import override

from tests.services.pubsub_push import ACKNOWLEDGE, PushSubscription


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """One status after the other, then the last."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("content-length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/push"
        finally:
            server.shutdown()
            thread.join()


def test_whatever_does_not_acknowledge_is_sent_again_later_and_later() -> None:
    with answering(401, 422, 500, 204) as endpoint:
        sender = PushSubscription(endpoint)
        pushed = sender.publish({"incident": {}})
        sender.deliver(within_s=20)
    assert pushed.answers == [401, 422, 500, 204]
    assert (sender.waiting, sender.delivered) == ([], [pushed])
    assert 422 not in ACKNOWLEDGE


def test_a_message_is_gone_when_its_retention_ends() -> None:
    with answering(503) as endpoint:
        sender = PushSubscription(endpoint, retention_s=0.3)
        pushed = sender.publish(b"x")
        sender.deliver(within_s=20)
    assert (sender.waiting, sender.expired) == ([], [pushed])
    assert pushed.answers in ([503], [503, 503])
