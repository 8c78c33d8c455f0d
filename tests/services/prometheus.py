"""A real Prometheus that scrapes, alerts and sends within a second or two, instead of minutes."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from tests.services.process import Process, free_port, program, wait_until

INTERVAL = "500ms"


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """What to scrape: `address` is host:port; `labels` may name another `instance`."""

    job: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertReceiver:
    """An Alertmanager, or what speaks its API; `token` is sent as a bearer when there is one."""

    address: str
    token: str = ""


class Prometheus:
    """A running server; see `running_prometheus`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--rules.alert.resend-delay=2s",
                "--log.level=warn",
            ],
            log=folder / "prometheus.log",
        )

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """An instant query's series: labels and value."""
        result = self._api("query", query=promql)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def answers(self) -> bool:
        """Whether it is ready to serve; until then its API refuses."""
        try:
            self._api("status/runtimeinfo")
        except OSError:
            return False
        return True

    def knows_receivers(self, count: int) -> bool:
        """Whether it sends to its Alertmanagers by now: alerts before that are lost for a while."""
        return len(self._api("alertmanagers")["activeAlertmanagers"]) == count

    def _api(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]


class StartPrometheus(Protocol):
    """What the `start_prometheus` fixture gives; each server ends with the test."""

    def __call__(
        self,
        targets: Sequence[ScrapeTarget],
        *,
        rules: str = "",
        receivers: Sequence[AlertReceiver] = (),
    ) -> Prometheus: ...


@contextmanager
def running_prometheus(
    folder: Path,
    targets: Sequence[ScrapeTarget],
    *,
    rules: str = "",
    receivers: Sequence[AlertReceiver] = (),
) -> Iterator[Prometheus]:
    """A Prometheus over `targets`; `rules` is a rules file's text.

    It is given when it serves, has found its receivers, and has scraped each target once (a
    target that is down counts as scraped).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules or "groups: []\n")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_config(targets, receivers)))
    server = Prometheus(folder, free_port())
    try:
        server.process.start(server.answers)
        wait_until(lambda: server.knows_receivers(len(receivers)), "Prometheus finds its receivers")
        wait_until(lambda: len(server.query("up")) == len(targets), "Prometheus scrapes")
        yield server
    finally:
        server.process.stop()


def _config(
    targets: Sequence[ScrapeTarget], receivers: Sequence[AlertReceiver]
) -> dict[str, object]:
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {"targets": [target.address], "labels": dict(target.labels)}
                    for target in targets
                    if target.job == job
                ],
            }
            for job in dict.fromkeys(target.job for target in targets)
        ],
        "alerting": {
            "alertmanagers": [
                {
                    "static_configs": [{"targets": [receiver.address]}],
                    **(
                        {"authorization": {"credentials": receiver.token}} if receiver.token else {}
                    ),
                }
                for receiver in receivers
            ]
        },
    }


@pytest.fixture
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Starts Prometheis that end with the test."""
    with ExitStack() as servers:

        def start(
            targets: Sequence[ScrapeTarget],
            *,
            rules: str = "",
            receivers: Sequence[AlertReceiver] = (),
        ) -> Prometheus:
            folder = tmp_path_factory.mktemp("prometheus")
            server = running_prometheus(folder, targets, rules=rules, receivers=receivers)
            return servers.enter_context(server)

        yield start
