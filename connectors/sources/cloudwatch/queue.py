"""Alarms that come by a queue: EventBridge's events, and what SNS passes on.

A message is deleted once it is kept, also where it can't be understood: as a dead letter. So a
fault of quell's leaves it in the queue, and it comes again when its visibility time-out has passed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from connectors.sources.cloudwatch.api import AwsAccount
from engine.errors import TransientError
from engine.ports.source import Source, Taker

# What SQS gives at most at a time.
AT_A_TIME = 10
# Each poll costs a request, half a million a month; a process that stops waits for its last one.
POLL_S = 5

_REGION = re.compile(r"https?://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AlarmQueue:
    """One queue of an account."""

    account: AwsAccount
    url: str

    @property
    def region(self) -> str:
        """That of its address, or the account's first where the address doesn't tell."""
        found = _REGION.match(self.url)
        return (found[1] or found[2]) if found else self.account.config.regions[0]

    async def run(self, source: Source, taker: Taker) -> None:
        """Take what comes, until cancelled. Raises TransientError and PermanentError."""
        while True:
            await self.take_some(source, taker)

    async def take_some(self, source: Source, taker: Taker) -> int:
        """Wait for messages, take them, and delete those that were kept: how many.

        Raises TransientError where one can't be kept now; those before it are deleted all the
        same.
        """
        answer = await self.account.call(
            "sqs",
            self.region,
            "receive_message",
            wait_s=POLL_S,
            QueueUrl=self.url,
            MaxNumberOfMessages=AT_A_TIME,
            WaitTimeSeconds=POLL_S,
            VisibilityTimeout=self.account.config.visibility_s,
        )
        messages: Sequence[Mapping[str, Any]] = answer.get("Messages", ())
        kept, fault = 0, None
        for message in messages:
            try:
                await taker.take(source, message["Body"].encode())
            except TransientError as error:
                fault = error
                break
            kept += 1
        if kept:
            await self._delete(messages[:kept])
        if fault is not None:
            raise fault
        return kept

    async def _delete(self, messages: Sequence[Mapping[str, Any]]) -> None:
        answer = await self.account.call(
            "sqs",
            self.region,
            "delete_message_batch",
            QueueUrl=self.url,
            Entries=[
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                for place, message in enumerate(messages)
            ],
        )
        # They come again and change nothing then; but where it goes on, the queue fills.
        for failed in answer.get("Failed", ()):
            why = f"{failed['Code']}: {failed.get('Message', '')}"
            log.warning("message_not_deleted", queue=self.url, why=why)
