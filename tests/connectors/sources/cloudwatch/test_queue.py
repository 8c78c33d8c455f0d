"""Alarms by SQS, over moto's SQS: what is kept is deleted, what isn't comes again."""

import json
import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from moto.sqs.models import sqs_backends
from structlog.testing import capture_logs
from typing_extensions import override

from connectors.sources.cloudwatch.queue import AlarmQueue
from engine.errors import PermanentError, TransientError
from engine.ports.source import Source
from tests.connectors.sources.cloudwatch.accounts import REGION, Taken, account
from tests.connectors.sources.cloudwatch.case import source
from tests.connectors.sources.cloudwatch.payloads import CONTRIBUTOR_EVENT, event, notification
from tests.services.moto import moto_server
from tests.services.sns import TOPIC


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


class Sqs:
    """A queue, from the other side."""

    def __init__(self, endpoint: str, name: str) -> None:
        session = botocore.session.get_session()
        self.client: Any = session.create_client("sqs", region_name=REGION, endpoint_url=endpoint)
        self.url = self.client.create_queue(QueueName=name)["QueueUrl"]

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.client.send_message(QueueUrl=self.url, MessageBody=text)

    def left(self) -> tuple[int, int]:
        """How many wait, and how many somebody received and didn't delete."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return int(told["Attributes"][names[0]]), int(told["Attributes"][names[1]])


@pytest.fixture
def sqs(moto: str, credentials: None, request: pytest.FixtureRequest) -> Sqs:
    return Sqs(moto, request.node.name[:70].replace("[", "-").replace("]", ""))


@pytest.fixture
def queue(moto: str, sqs: Sqs) -> Iterator[AlarmQueue]:
    with account(moto) as there:
        yield AlarmQueue(there, sqs.url)


async def test_every_form_of_an_alarm_is_taken_and_then_deleted(
    sqs: Sqs, queue: AlarmQueue
) -> None:
    envelope = {"Type": "Notification", "TopicArn": TOPIC, "Message": json.dumps(notification())}
    sqs.send(event(), CONTRIBUTOR_EVENT, notification(), envelope)
    taken = Taken()
    assert await queue.take_some(source(), taken) == 4
    names = ["EndpointErrors", "TablesIdle", "EndpointErrors", "EndpointErrors"]
    assert [name for name, _ in taken.told()] == names
    assert sqs.left() == (0, 0)


async def test_an_empty_queue_is_waited_at(
    queue: AlarmQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sources.cloudwatch.queue.POLL_S", 1)
    began = time.monotonic()
    assert await queue.take_some(source(), Taken()) == 0
    assert time.monotonic() - began >= 1


async def test_what_cannot_be_understood_is_kept_once_and_deleted(
    sqs: Sqs, queue: AlarmQueue
) -> None:
    sqs.send("no json", {"detail-type": "Login", "source": "aws.signin"})
    taken = Taken()
    await queue.take_some(source(), taken)
    assert len(taken.letters) == 2
    assert sqs.left() == (0, 0)


async def test_what_cannot_be_kept_now_stays_in_the_queue_and_comes_again(
    sqs: Sqs, queue: AlarmQueue
) -> None:
    sqs.send(*(event() for _ in range(3)))
    taken = Taken(faults=[None, TransientError("the stream is down")])
    with pytest.raises(TransientError, match="the stream is down"):
        await queue.take_some(source(), taken)
    # The first was kept and is deleted; the others are back when their time-out has passed.
    assert (len(taken.alerts), sqs.left()) == (1, (0, 2))
    make_visible(sqs)
    assert await queue.take_some(source(), taken) == 2
    assert (len(taken.alerts), sqs.left()) == (3, (0, 0))


async def test_a_message_that_cannot_be_deleted_is_told_and_nothing_stops(
    sqs: Sqs, queue: AlarmQueue
) -> None:
    class Slow(Taken):
        """Takes longer than the message stays its receiver's."""

        @override
        async def take(self, source: Source, body: bytes) -> None:
            await super().take(source, body)
            sqs.client.purge_queue(QueueUrl=sqs.url)

    sqs.send(event())
    taken = Slow()
    with capture_logs() as logs:
        assert await queue.take_some(source(), taken) == 1
    assert [each["event"] for each in logs] == ["message_not_deleted"]
    assert len(taken.alerts) == 1


async def test_a_queue_that_is_not_there_is_told(moto: str, credentials: None) -> None:
    with account(moto) as there, pytest.raises(PermanentError, match="receive_message"):
        await AlarmQueue(there, f"{moto}/123456789012/none").run(source(), Taken())


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/quell", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/quell", "cn-north-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/quell", "eu-west-1"),
        ("https://vpce-1.sqs.example/123456789012/quell", REGION),
    ],
)
def test_a_queue_s_region_is_that_of_its_address(url: str, region: str) -> None:
    with account("http://127.0.0.1:1") as there:
        assert AlarmQueue(there, url).region == region


def make_visible(sqs: Sqs) -> None:
    """As if the visibility time-out had passed."""
    queues = sqs_backends["123456789012"][REGION].queues
    [found] = [queue for queue in queues.values() if sqs.url.endswith(f"/{queue.name}")]
    for message in found._messages:
        sqs.client.change_message_visibility(
            QueueUrl=sqs.url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=0
        )
