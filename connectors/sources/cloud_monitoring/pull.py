"""Empties Pub/Sub subscriptions by unary pull.

https://docs.cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions/pull
A message is acknowledged once it is kept; what can't be kept now is handed back at once, so that
another process may take it, and comes again.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from connectors.sources.cloud_monitoring.config import PullConfig
from connectors.sources.cloud_monitoring.google_api import GoogleApi
from engine.core.json_value import Json
from engine.errors import TransientError
from engine.ports.source import Feed, Source, Taker

# As many as are kept within a short deadline of a subscription, and held in memory.
AT_ONCE = 50
# Pub/Sub answers an empty pull after a minute or two.
PULL_WITHIN_S = 180.0
ANSWER_WITHIN_S = 15.0
# Where it answers an empty one at once.
EMPTY_PAUSE_S = 0.5


@dataclass(slots=True)
class Puller:
    """One source's subscriptions, each a feed of its own."""

    source: Source
    api: GoogleApi
    config: PullConfig
    # Halved by each failure, because an answer may have been too large to be taken as one.
    _at_once: dict[str, int] = field(default_factory=dict)

    def feeds(self) -> Sequence[Feed]:
        """In the order of the configuration."""
        return [
            Feed(f"pull {subscription}", partial(self._run, subscription))
            for subscription in self.config.subscriptions
        ]

    async def _run(self, subscription: str, taker: Taker) -> None:
        while True:
            received = await self._pull(subscription)
            if received:
                await self._take(subscription, received, taker)
            else:
                await asyncio.sleep(EMPTY_PAUSE_S)

    async def _take(self, subscription: str, received: Sequence["_Received"], taker: Taker) -> None:
        """All at once, because the stream appends together what waits together."""
        async with asyncio.TaskGroup() as group:
            taking = [group.create_task(self._failure(each, taker)) for each in received]
        failures = [task.result() for task in taking]
        kept: list[Json] = []
        left: list[Json] = []
        for each, failure in zip(received, failures, strict=True):
            (kept if failure is None else left).append(each.ack_id)
        if kept:
            await self._tell(subscription, "acknowledge", {"ackIds": kept})
        if left:
            handed_back: dict[str, Json] = {"ackIds": left, "ackDeadlineSeconds": 0}
            await self._tell(subscription, "modifyAckDeadline", handed_back)
        for failure in failures:
            if failure is not None:
                raise failure

    async def _failure(self, each: "_Received", taker: Taker) -> TransientError | None:
        """Why a message can't be kept now; None once it is."""
        try:
            await taker.take(self.source, each.body)
        except TransientError as error:
            return error
        return None

    async def _pull(self, subscription: str) -> Sequence["_Received"]:
        at_once = self._at_once.get(subscription, AT_ONCE)
        url = f"{self.config.endpoint}/v1/{subscription}:pull"
        try:
            answer = await self.api.post(url, {"maxMessages": at_once}, timeout_s=PULL_WITHIN_S)
        except TransientError:
            self._at_once[subscription] = max(1, at_once // 2)
            raise
        self._at_once[subscription] = min(AT_ONCE, at_once * 2)
        messages = answer.get("receivedMessages", [])
        if not isinstance(messages, list):
            raise TransientError(f"{url}: the answer isn't Pub/Sub's")
        return [_received(each, subscription, url) for each in messages]

    async def _tell(self, subscription: str, what: str, body: dict[str, Json]) -> None:
        url = f"{self.config.endpoint}/v1/{subscription}:{what}"
        await self.api.post(url, body, timeout_s=ANSWER_WITHIN_S)


@dataclass(frozen=True, slots=True)
class _Received:
    ack_id: str
    body: bytes


def _received(value: Json, subscription: str, url: str) -> _Received:
    """A message in the envelope that a push has, so that both are read alike."""
    if not isinstance(value, dict) or not isinstance(value.get("ackId"), str):
        raise TransientError(f"{url}: the answer isn't Pub/Sub's")
    envelope = {"message": value.get("message"), "subscription": subscription}
    return _Received(str(value["ackId"]), json.dumps(envelope).encode())
