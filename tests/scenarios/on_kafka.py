"""A quell on Kafka, what is sent to it, and what the topic holds."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.scenarios.marks import MARKS
from tests.scenarios.quell import Quell
from tests.scenarios.senders import send_one
from tests.services.kafka import KafkaBroker
from tests.services.process import free_port, wait_until

SERVICES = 10
PARTITIONS = 4


def stream_section(broker: KafkaBroker, prefix: str = "", **changes: object) -> dict[str, object]:
    """quell.yaml's `stream`, with topics and a group of its own."""
    prefix = prefix or f"{uuid4().hex}."
    return {
        "uses": "kafka",
        "bootstrap_servers": [broker.bootstrap],
        "topic_prefix": prefix,
        "group_id": prefix,
        "partitions": PARTITIONS,
        "replication_factor": 1,
        **changes,
    }


def read_topic(broker: KafkaBroker, topic: str) -> Sequence[bytes]:
    """The values of all that is there now, each partition in its order."""

    async def read() -> list[bytes]:
        from aiokafka import AIOKafkaConsumer

        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            return [(await anext(consumer)).value for _ in range(sum(ends.values()))]
        finally:
            await consumer.stop()

    return asyncio.run(read())


class OnKafka:
    """One installation with topics of its own."""

    def __init__(
        self,
        folder: Path,
        broker: KafkaBroker,
        more: Mapping[str, object] | None = None,
        prefix: str = "",
    ) -> None:
        """`more` are further sections of quell.yaml; replicas share their topics' `prefix`."""
        self.broker = broker
        self.prefix = prefix or f"outage-{uuid4().hex}."
        address = f"127.0.0.1:{free_port()}"
        sections = {
            "stream": stream_section(broker, self.prefix, deadline_s=3),
            # Without a storm brake, whose own alert would be one more.
            "policy": str(MARKS / "policy.yaml"),
            **(more or {}),
        }
        self.quell = Quell(folder, address, sections, ["serve"])

    def start_unready(self) -> None:
        """Start quell where it can't be ready, and wait until it is alive."""
        self.quell.start(lambda: self.quell.health("/healthz")[0] == 200)

    def send(self, first: int, count: int) -> list[int]:
        """Alerts `first` to `first + count` of every service, one a body; what was answered.

        A service's own alerts are sent one after the other, like a sender that waits for answers.
        """

        def send_all(service: int) -> list[int]:
            labels = {"alertname": "FanNoisy", "service": f"svc-{service}"}
            return [
                send_one(self.quell.url, labels | {"number": str(number)})
                for number in range(first, first + count)
            ]

        with ThreadPoolExecutor(SERVICES) as threads:
            return [code for codes in threads.map(send_all, range(SERVICES)) for code in codes]

    def settle(self, alerts: int) -> Mapping[str, int]:
        """Wait until so many different alerts were decided on; what became of all records."""

        def settled() -> bool:
            if self.quell.health("/readyz")[0] != 200:
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
        found: dict[str, list[int]] = {}
        for value in read_topic(self.broker, f"{self.prefix}alerts"):
            labels: Mapping[str, Any] = json.loads(value)["data"]["labels"]
            found.setdefault(labels["service"], []).append(int(labels["number"]))
        for service, numbers in found.items():
            assert list(dict.fromkeys(numbers)) == list(range(alerts)), service
        assert self.quell.verb("audit", "verify")["faults"] == []
