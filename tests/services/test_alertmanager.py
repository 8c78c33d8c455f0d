"""The chain that feeds quell: an exporter dies, Prometheus notices, Alertmanager says so."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from typing_extensions import override

from tests.services.alertmanager import StartAlertmanager
from tests.services.model_server import model_server_argv
from tests.services.process import Process, free_port, listens, wait_until
from tests.services.prometheus import AlertReceiver, ScrapeTarget, StartPrometheus

RULES = """
groups:
  - name: endpoints
    rules:
      - alert: EndpointDown
        expr: up{job="model"} == 0
        labels: {service: llm}
"""


class Webhook(ThreadingHTTPServer):
    """Keeps what it is sent: the Authorization header and the body of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WebhookHandler)
        self.received: list[tuple[str, dict[str, object]]] = []

    def statuses(self) -> list[object]:
        return [body["status"] for _, body in self.received]


class WebhookHandler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append((self.headers.get("Authorization", ""), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    """Serve from a thread; gives the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_dead_exporter_reaches_the_webhook_and_resolves_when_it_is_back(
    start_alertmanager: StartAlertmanager, start_prometheus: StartPrometheus, tmp_path: Path
) -> None:
    port = free_port()
    exporter = Process(model_server_argv(port, "llama"), log=tmp_path / "exporter.log")
    webhook = Webhook()
    try:
        exporter.start(lambda: listens(port))
        with serving(webhook) as webhook_port:
            url = f"http://127.0.0.1:{webhook_port}/hook"
            alertmanager = start_alertmanager(url, token="s3cret")
            target = ScrapeTarget("model", f"127.0.0.1:{port}", {"instance": "gpu-07:9100"})
            receiver = AlertReceiver(alertmanager.address)
            prometheus = start_prometheus([target], rules=RULES, receivers=[receiver])
            labels, value = prometheus.query('model_server_up{model="llama"}')[0]
            assert (labels["instance"], value) == ("gpu-07:9100", 1.0)

            exporter.kill()
            wait_until(lambda: "firing" in webhook.statuses(), "the firing alert", 15)
            authorization, body = webhook.received[0]
            assert authorization == "Bearer s3cret"
            alerts = body["alerts"]
            assert isinstance(alerts, list)
            assert alerts[0]["labels"] == {
                "alertname": "EndpointDown",
                "instance": "gpu-07:9100",
                "job": "model",
                "service": "llm",
            }

            exporter.start(lambda: listens(port))
            wait_until(lambda: "resolved" in webhook.statuses(), "the resolved alert", 15)
    finally:
        exporter.kill()
