"""Pub/Sub's pull: nothing is acknowledged before it is kept, and all of it is kept."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from connectors.sources.cloud_monitoring import (
    CloudMonitoringConfig,
    CloudMonitoringSource,
    PullConfig,
    google_api,
)
from connectors.sources.cloud_monitoring.pull import AT_ONCE
from engine.core.alert import receive
from engine.errors import NotFoundError, PermanentError, TransientError
from engine.gateway.keeping import Keeper
from tests.connectors.sources.cloud_monitoring.payloads import OPEN, SUBSCRIPTION, opened
from tests.doubles.gateway import MemoryIntake, gateway_parts
from tests.services.google_cloud import GoogleCloud, google_cloud

WITHIN_S = 20.0


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    with google_cloud() as running:
        running.messages[SUBSCRIPTION] = []
        yield running


@dataclass
class Bench:
    """A source whose feed runs, and what it kept."""

    source: CloudMonitoringSource
    intake: MemoryIntake = field(default_factory=MemoryIntake)

    async def run(self, until: Callable[[], bool]) -> None:
        """The feed, until something is so; raises what ends it."""
        keeper = Keeper(self.intake, gateway_parts().clock, gateway_parts().metrics)
        [feed] = self.source.feeds()
        assert feed.name == f"pull {SUBSCRIPTION}"
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            running = group.create_task(feed.run(keeper))
            while not until() and not running.done():
                await asyncio.sleep(0.005)
            running.cancel()

    async def run_into(self, error: type[Exception], match: str) -> None:
        with pytest.RaisesGroup(pytest.RaisesExc(error, match=match)):
            await self.run(lambda: False)


@asynccontextmanager
async def bench(cloud: GoogleCloud, folder: Path) -> Any:
    config = CloudMonitoringConfig(
        pull=PullConfig(subscriptions=(SUBSCRIPTION,), endpoint=cloud.url),
        credentials_file=cloud.key_file(folder),
    )
    source = CloudMonitoringSource(config)
    try:
        yield Bench(source)
    finally:
        await source.close()


def publish(cloud: GoogleCloud, *notifications: Any) -> None:
    for each in notifications:
        data = each if isinstance(each, bytes) else json.dumps(each).encode()
        cloud.publish(SUBSCRIPTION, data)


def incident(number: int) -> Any:
    return opened(incident_id=f"0.{number}")


def unacknowledged(cloud: GoogleCloud) -> int:
    return sum(not each.acknowledged for each in cloud.messages[SUBSCRIPTION])


async def test_messages_are_kept_and_then_acknowledged(cloud: GoogleCloud, tmp_path: Path) -> None:
    publish(cloud, *(incident(n) for n in range(2 * AT_ONCE + 1)))
    async with bench(cloud, tmp_path) as there:
        await there.run(lambda: unacknowledged(cloud) == 0)
        found = {alert.labels["incident_id"] for alert in there.intake.alerts}
        assert found == {f"0.{n}" for n in range(2 * AT_ONCE + 1)}
        assert {each["maxMessages"] for each in cloud.calls_of("pull")} == {AT_ONCE}


async def test_what_cannot_be_kept_now_is_handed_back_and_comes_again(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    publish(cloud, incident(1), incident(2), incident(3))
    async with bench(cloud, tmp_path) as there:
        there.intake = FaultyAfter(1)
        await there.run_into(TransientError, "no broker")
        states = [(m.acknowledged, m.leased_until) for m in cloud.messages[SUBSCRIPTION]]
        assert states[0][0], "it was kept"
        assert states[1:] == [(False, cloud.now_s)] * 2, "another process may take them at once"
        there.intake.fault = None
        await there.run(lambda: unacknowledged(cloud) == 0)
        found = [alert.labels["incident_id"] for alert in there.intake.alerts]
        assert sorted(found) == ["0.1", "0.2", "0.3"]


@dataclass
class FaultyAfter(MemoryIntake):
    """Keeps so many alerts; then the broker is away."""

    left: int = 0

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    @override
    async def accept(self, source: str, alerts: Any, truncated: int) -> None:
        if self.left == 0 and self.fault is None:
            self.fault = TransientError("no broker")
        self.left -= 1
        await super().accept(source, alerts, truncated)


async def test_a_message_whose_acknowledgement_was_lost_is_a_repeat(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    publish(cloud, OPEN)
    async with bench(cloud, tmp_path) as there:
        await there.run(lambda: bool(there.intake.alerts))
        cloud.messages[SUBSCRIPTION][0].acknowledged = False
        cloud.advance(cloud.ack_deadline_s + 1)
        await there.run(lambda: len(there.intake.alerts) == 2 and unacknowledged(cloud) == 0)
        first, again = there.intake.alerts
        opened_by = receive(first, None).occurrence
        assert receive(again, opened_by).effect == "repeat"


async def test_poison_is_a_dead_letter_and_acknowledged(cloud: GoogleCloud, tmp_path: Path) -> None:
    publish(cloud, b"no JSON", {"incident": 3}, OPEN)
    cloud.publish(SUBSCRIPTION, b"", only="attributes")
    async with bench(cloud, tmp_path) as there:
        await there.run(lambda: unacknowledged(cloud) == 0)
        assert len(there.intake.alerts) == 1
        fields = sorted(letter.field for letter in there.intake.letters)
        assert fields == ["message.data", "message.data", "message.data.incident"]
        [attributes] = [
            e for e in there.intake.letters if b"attributes" in e.raw and b"only" in e.raw
        ]
        assert json.loads(attributes.raw)["message"]["attributes"] == {"only": "attributes"}
        there.intake.letter_fault = TransientError("no store")
        publish(cloud, b"poison")
        await there.run_into(TransientError, "no store")
        assert unacknowledged(cloud) == 1, "nothing is acknowledged that isn't kept"


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, TransientError), (503, TransientError), (403, PermanentError), (404, NotFoundError)],
)
async def test_a_refusal_ends_the_feed_which_begins_anew(
    cloud: GoogleCloud, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    publish(cloud, OPEN)
    async with bench(cloud, tmp_path) as there:
        cloud.faults.append(status)
        await there.run_into(error, f"status {status}")
        await there.run(lambda: unacknowledged(cloud) == 0)
        assert len(there.intake.alerts) == 1


async def test_an_acknowledgement_that_fails_loses_nothing(
    cloud: GoogleCloud, tmp_path: Path
) -> None:
    publish(cloud, OPEN)
    async with bench(cloud, tmp_path) as there:
        cloud.forbidden.add("pubsub.projects.subscriptions.acknowledge")
        await there.run_into(PermanentError, "PERMISSION_DENIED")
        assert (len(there.intake.alerts), unacknowledged(cloud)) == (1, 1)


async def test_after_a_failure_fewer_are_pulled_because_they_may_have_been_too_large(
    cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_api, "MAX_ANSWER_BYTES", 64 * 1024)
    publish(cloud, *(b'{"x": "%s"}' % (b"y" * 24_000) for _ in range(3)))
    async with bench(cloud, tmp_path) as there:
        feeds = there.source.feeds()
        assert len(feeds) == 1
        keeper = Keeper(there.intake, gateway_parts().clock, gateway_parts().metrics)
        failures = 0
        while unacknowledged(cloud):
            cloud.advance(cloud.ack_deadline_s + 1)
            failures += 1
            assert failures < 12
            try:
                async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
                    running = group.create_task(feeds[0].run(keeper))
                    while unacknowledged(cloud) and not running.done():
                        await asyncio.sleep(0.01)
                    running.cancel()
            except* TransientError as failed:
                assert "65536 bytes" in str(failed.exceptions[0])
        assert failures > 1
        assert len(there.intake.letters) == 3


@pytest.mark.parametrize(
    "answer",
    [{"receivedMessages": 3}, {"receivedMessages": [1]}, {"receivedMessages": [{"ackId": 1}]}],
    ids=str,
)
async def test_what_is_no_pull_s_answer_is_asked_for_again(
    cloud: GoogleCloud, tmp_path: Path, answer: Any
) -> None:
    async with bench(cloud, tmp_path) as there:
        cloud.answers_instead = json.dumps(answer).encode()
        await there.run_into(TransientError, "the answer isn't Pub/Sub's")


async def test_without_a_subscription_nothing_is_fetched() -> None:
    assert CloudMonitoringSource(CloudMonitoringConfig()).feeds() == ()
