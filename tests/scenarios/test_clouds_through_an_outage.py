"""Kafka is gone while a pair of Alertmanagers and the clouds send: by their own rules, all of it.

For a minute. With the spool no sender notices. Without one quell answers 503, and each sender comes
again as its vendor's pages say.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.app import SystemClock
from engine.store.directory import DataDirectory
from tests.connectors.sources.azure_monitor.azure import AUDIENCE, TENANT, notice
from tests.connectors.sources.cloud_monitoring.payloads import opened
from tests.connectors.sources.cloudwatch.payloads import ARN, notification
from tests.scenarios.on_kafka import OnKafka
from tests.services.alertmanager import Alertmanager, running_alertmanager
from tests.services.azure_action_group import ActionGroup
from tests.services.kafka import KafkaBroker
from tests.services.key_issuer import KeyIssuer, key_issuer
from tests.services.process import program, run, wait_until
from tests.services.pubsub_push import PushSubscription
from tests.services.sns import CERTIFICATE_ID, TOPIC, SnsSender, published, sns

# What became of a notice, and what each try was answered.
Seen = tuple[str, tuple[int, ...]]
# From elsewhere, as a proxy says: the credentials count.
ELSEWHERE = {"x-forwarded-for": "192.0.2.7"}
EACH = 10
# Pub/Sub goes on for days; longer than any outage here.
PUSHED_WITHIN_S = 150.0
TOKEN = "t0ken-of-the-pair"
# By itself SNS gives up after a minute; with the delivery policy of docs/sources/cloudwatch.md
# much later.
SNS_RETRIES, SNS_RETRIES_BY_POLICY = 3, 50
# The broker takes some seconds to be back, and Azure gives up after 75.
ALL_BUT_STARTING_S = 55

pytestmark = pytest.mark.slow


@dataclass
class Clouds:
    """One quell and all that send to it."""

    installation: OnKafka
    issuer: KeyIssuer
    pair: Sequence[Alertmanager]
    sns_retries: int

    async def send(self, first: int) -> list[Seen]:
        """`EACH` new alerts of each cloud at once, from `first` on; what each sender saw."""
        url, now = self.installation.quell.url, datetime.now(UTC)
        async with httpx.AsyncClient(headers=ELSEWHERE, timeout=15, trust_env=False) as http:
            group = ActionGroup(
                http,
                f"{url}/v1/alerts/azure-monitor",
                SystemClock(),
                self.issuer,
                TENANT,
                AUDIENCE,
            )
            sender = SnsSender(
                f"{url}/v1/alerts/cloudwatch", asyncio.sleep, self.sns_retries, headers=ELSEWHERE
            )

            async def by_sns(number: int) -> Seen:
                alarm = notification(
                    AlarmName=f"Alarm{number}",
                    AlarmArn=ARN.replace("EndpointErrors", f"Alarm{number}"),
                    StateChangeTime=f"{now:%Y-%m-%dT%H:%M:%S}.000+0000",
                )
                message = sns().notification(json.dumps(alarm), now, MessageId=f"m-{number}")
                found = await sender.send(message)
                return found.outcome, tuple(found.statuses)

            async def by_azure(number: int) -> Seen:
                body = notice(
                    "test-metric-static",
                    alertId=f"/subscriptions/{TENANT}/providers/Microsoft.AlertsManagement"
                    f"/alerts/{number:08d}-1111-2222-3333-444444444444",
                    firedDateTime=f"{now:%Y-%m-%dT%H:%M:%S}.0000000Z",
                )
                found = await group.notify(json.dumps(body).encode())
                return found.outcome, tuple(found.statuses)

            async with asyncio.TaskGroup() as tasks:
                pushing = tasks.create_task(asyncio.to_thread(self._push, first))
                sending = [
                    tasks.create_task(send(number))
                    for send in (by_sns, by_azure)
                    for number in range(first, first + EACH)
                ]
            assert not pushing.result()
        return [each.result() for each in sending]

    def _push(self, first: int) -> int:
        """The same by Pub/Sub; how many are never acknowledged."""
        subscription = PushSubscription(
            f"{self.installation.quell.url}/v1/alerts/cloud-monitoring",
            self.issuer,
            AUDIENCE,
            headers=ELSEWHERE,
        )
        for number in range(first, first + EACH):
            subscription.publish(opened(incident_id=f"0.{number}", started_at=int(time.time())))
        subscription.deliver(PUSHED_WITHIN_S)
        return len(subscription.waiting)

    def fire(self, first: int) -> None:
        """As many by Prometheus, which tells both Alertmanagers."""
        for number in range(first, first + EACH):
            for each in self.pair:
                add = ("alert", "add", f"alertname=Pair{number}", "service=pair")
                run([program("amtool"), f"--alertmanager.url={each.url}", *add])

    def decided(self) -> dict[str, int]:
        """How many alerts of each source opened an occurrence so far."""
        found: dict[str, int] = {}
        for incident in self.installation.quell.incidents():
            found[incident["service"]] = found.get(incident["service"], 0) + incident["occurrences"]
        return found


@contextmanager
def clouds(kafka: KafkaBroker, folder: Path, postgres_url: str = "") -> Iterator[Clouds]:
    """Without a spool where `postgres_url` says where else the state is."""
    with ExitStack() as stack:
        certificate = f"/SimpleNotificationService-{CERTIFICATE_ID}.pem"
        mirror = stack.enter_context(published({certificate: sns().chain}))
        issuer = stack.enter_context(key_issuer())
        sections: dict[str, Any] = {
            "sources": {
                "alertmanager": {"uses": "alertmanager", "bearer": [TOKEN]},
                "cloudwatch": {
                    "uses": "cloudwatch",
                    "topics": [TOPIC],
                    "roots": str(sns().trusted(folder)),
                    "certificate_mirror": mirror,
                },
                "cloud-monitoring": {
                    "uses": "cloud-monitoring",
                    "push": {
                        "audience": AUDIENCE,
                        "email": PushSubscription.email,
                        "keys": issuer.url,
                    },
                },
                "azure-monitor": {
                    "uses": "azure-monitor",
                    "entra": {"tenant": TENANT, "audience": AUDIENCE, "keys_url": issuer.url},
                },
            }
        }
        if postgres_url:
            sections["store"] = {"url": postgres_url}
        installation = OnKafka(folder, kafka, sections)
        if postgres_url:
            directory = DataDirectory(installation.quell.data)
            directory.open()
            stack.callback(directory.close)
        installation.quell.start()
        stack.callback(installation.quell.stop)
        hook = f"{installation.quell.url}/v1/alerts/alertmanager"
        pair = [
            stack.enter_context(running_alertmanager(folder / name, hook, token=TOKEN))
            for name in ("first", "second")
        ]
        retries = SNS_RETRIES_BY_POLICY if postgres_url else SNS_RETRIES
        try:
            yield Clouds(installation, issuer, pair, retries)
        finally:
            if not kafka.running:
                kafka.start()


def through_an_outage(there: Clouds, lasts_s: float) -> list[Seen]:
    """All send before the outage, and all at once while it lasts; what the latter saw."""
    broker = there.installation.broker
    there.fire(0)
    before = asyncio.run(there.send(0))
    assert {statuses for _, statuses in before} == {(200,)}
    broker.kill()
    began = time.monotonic()
    there.fire(EACH)
    with ThreadPoolExecutor(1) as senders:
        sending = senders.submit(asyncio.run, there.send(EACH))
        time.sleep(max(lasts_s - (time.monotonic() - began), 0))
        # Here, because the broker ends with the thread that started it.
        broker.start()
        return sending.result()


def check_all(there: Clouds) -> None:
    """Every alert of every sender is decided on once."""
    alerts = 2 * EACH

    def settled() -> bool:
        quell = there.installation.quell
        if quell.health("/readyz")[0] != 200 or quell.get("/v1/balance")["waiting"]:
            return False
        return sum(there.decided().values()) >= 4 * alerts

    wait_until(settled, "everything is decided", 90)
    assert sum(there.decided().values()) == 4 * alerts
    assert there.decided()["pair"] == alerts
    assert there.installation.quell.get("/v1/balance")["difference"] == 0
    assert there.installation.quell.verb("audit", "verify")["faults"] == []


def test_with_a_spool_no_sender_notices(kafka: KafkaBroker, tmp_path: Path) -> None:
    with clouds(kafka, tmp_path) as there:
        seen = through_an_outage(there, 60)
        assert set(seen) == {("delivered", (200,))}
        check_all(there)


def test_without_one_each_sender_comes_again_by_its_own_rules(
    kafka: KafkaBroker, postgres_url: str, tmp_path: Path
) -> None:
    with clouds(kafka, tmp_path, postgres_url) as there:
        seen = through_an_outage(there, ALL_BUT_STARTING_S)
        for outcome, statuses in seen:
            assert outcome == "delivered"
            assert (statuses[-1], set(statuses[:-1])) == (200, {503})
        check_all(there)
