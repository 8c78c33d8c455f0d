"""A quell on Kafka, what is sent to it, and what the topic holds."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.scenarios.quell import Quell
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port, wait_until

SERVICES = 10
PARTITIONS = 4


class OnKafka:
    """One installation with topics of its own."""

    def __init__(
        self, folder: Path, broker: KafkaBroker, more: Mapping[str, object] | None = None
    ) -> None:
        """`more` are further sections of quell.yaml."""
        self.broker = broker
        self.prefix = f"outage-{uuid4().hex}."
        stream = {
            "uses": "kafka",
            "bootstrap_servers": [broker.bootstrap],
            "topic_prefix": self.prefix,
            "group_id": self.prefix,
            "partitions": PARTITIONS,
            "replication_factor": 1,
            "deadline_s": 3,
        }
        address = f"127.0.0.1:{free_port()}"
        sections = {"stream": stream, **(more or {})}
        self.quell = Quell(folder, address, sections, ["serve"])

    def start_unready(self) -> None:
        """Start quell where it can't be ready, and wait until it is alive."""
        self.quell.start(lambda: self.health("/healthz")[0] == 200)

    def send(self, first: int, count: int) -> list[int]:
        """Alerts `first` to `first + count` of every service, one a body; what was answered.

        A service's own alerts are sent one after the other, like a sender that waits for answers.
        """

        def send_all(service: int) -> list[int]:
            return [self._post(f"svc-{service}", n) for n in range(first, first + count)]

        with ThreadPoolExecutor(SERVICES) as threads:
            return [code for codes in threads.map(send_all, range(SERVICES)) for code in codes]

    def _post(self, service: str, number: int) -> int:
        labels = {"alertname": "FanNoisy", "service": service, "number": str(number)}
        alert = {"status": "firing", "labels": labels, "startsAt": "2026-03-01T12:00:00Z"}
        body = json.dumps({"version": "4", "alerts": [alert]}).encode()
        url = f"{self.quell.url}/v1/alerts/alertmanager"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def health(self, path: str) -> tuple[int, str]:
        """The status and the detail of a health page."""
        try:
            with urllib.request.urlopen(f"{self.quell.url}{path}", timeout=30) as answer:
                return int(answer.status), ""
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["detail"]
        except OSError:
            return 0, "nobody listens"

    def settle(self, alerts: int) -> Mapping[str, int]:
        """Wait until so many different alerts were decided on; what became of all records."""

        def settled() -> bool:
            if self.health("/readyz")[0] != 200:
                return False
            balance = self.quell.get("/v1/balance")
            done = sum(n for kind, n in balance["dispositions"].items() if kind == "unmatched")
            return bool(balance["waiting"] == 0 and done >= alerts)

        wait_until(settled, f"{alerts} alerts processed", 60)
        balance = self.quell.get("/v1/balance")
        assert balance["difference"] == 0
        assert balance["records"] == sum(balance["dispositions"].values())
        found: dict[str, int] = balance["dispositions"]
        return found

    def check(self, alerts: int) -> None:
        """Each alert was processed once, and the topic has those of each service in order."""
        became = self.settle(alerts * SERVICES)
        assert became["unmatched"] == alerts * SERVICES
        assert set(became) <= {"unmatched", "repeat"}
        occurrences = {each["service"]: each["occurrences"] for each in self.quell.incidents()}
        assert occurrences == {f"svc-{n}": alerts for n in range(SERVICES)}
        for service, numbers in asyncio.run(self._topic()).items():
            assert list(dict.fromkeys(numbers)) == list(range(alerts)), service
        assert self.quell.verb("audit", "verify")["faults"] == []

    async def _topic(self) -> dict[str, list[int]]:
        """The numbers of each service's alerts in the order of the topic."""
        from aiokafka import AIOKafkaConsumer, TopicPartition

        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: dict[str, list[int]] = {}
        try:
            places = [TopicPartition(f"{self.prefix}alerts", n) for n in range(PARTITIONS)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            for place in places:
                while await consumer.position(place) < ends[place]:
                    for record in (await consumer.getmany(place, timeout_ms=1000)).get(place, ()):
                        labels: Mapping[str, Any] = json.loads(record.value)["data"]["labels"]
                        found.setdefault(labels["service"], []).append(int(labels["number"]))
        finally:
            await consumer.stop()
        return found
