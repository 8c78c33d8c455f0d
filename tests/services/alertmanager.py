"""A real Alertmanager that notifies one webhook within a second, instead of half a minute."""

import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from tests.services.process import Process, free_port, program


class Alertmanager:
    """A running server; see `running_alertmanager`."""

    def __init__(self, folder: Path, port: int, *, log_level: str = "debug") -> None:
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        self.process = Process(
            [
                program("prometheus-alertmanager"),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
                f"--log.level={log_level}",
            ],
            log=folder / "alertmanager.log",
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=10).close()
        except OSError:
            return False
        return True


class StartAlertmanager(Protocol):
    """What the `start_alertmanager` fixture gives; each server ends with the test."""

    def __call__(
        self,
        webhook_url: str,
        *,
        token: str = "",
        group_by: Sequence[str] = ("alertname",),
        max_alerts: int = 0,
    ) -> Alertmanager: ...


@contextmanager
def running_alertmanager(
    folder: Path,
    webhook_url: str,
    *,
    token: str = "",
    group_by: Sequence[str] = ("alertname",),
    max_alerts: int = 0,
) -> Iterator[Alertmanager]:
    """An Alertmanager that posts firing and resolved alerts to `webhook_url`, with a bearer.

    It leaves out those past `max_alerts`, unless that is 0.
    """
    folder.mkdir(parents=True, exist_ok=True)
    webhook: dict[str, object] = {
        "url": webhook_url,
        "send_resolved": True,
        "max_alerts": max_alerts,
    }
    if token:
        webhook["http_config"] = {"authorization": {"credentials": token}}
    config = {
        "route": {
            "receiver": "quell",
            "group_by": list(group_by),
            "group_wait": "100ms",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "quell", "webhook_configs": [webhook]}],
    }
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    server = Alertmanager(folder, free_port())
    try:
        server.process.start(server.answers)
        yield server
    finally:
        server.process.stop()


@pytest.fixture
def start_alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAlertmanager]:
    """Starts Alertmanagers that end with the test."""
    with ExitStack() as servers:

        def start(
            webhook_url: str,
            *,
            token: str = "",
            group_by: Sequence[str] = ("alertname",),
            max_alerts: int = 0,
        ) -> Alertmanager:
            server = running_alertmanager(
                tmp_path_factory.mktemp("alertmanager"),
                webhook_url,
                token=token,
                group_by=group_by,
                max_alerts=max_alerts,
            )
            return servers.enter_context(server)

        yield start
