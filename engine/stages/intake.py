"""The gateway's way in: alerts to the stream, what can't be understood to the dead letters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from engine.core.alert import Alert
from engine.core.bounds import cut
from engine.core.events.event import BRIEF_LIMIT
from engine.core.ids import dead_letter_id
from engine.core.records import encode_alert
from engine.core.retention import USUAL, Retention
from engine.errors import PermanentError
from engine.ports.clock import Clock
from engine.ports.keeping import keep_of_sender
from engine.ports.rows import DeadLetter
from engine.ports.source import Rejected
from engine.ports.store import Store
from engine.ports.stream import Message, Stream

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Of a body, at a time: other work of this process waits for moments, and other senders too.
KEPT_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StreamIntake:
    """Returns only after what it was given is durable."""

    store: Store
    stream: Stream
    clock: Clock
    retention: Retention = USUAL

    async def accept(self, source: str, alerts: Sequence[Alert], truncated: int) -> None:
        """Append to the stream. Raises TransientError: answer 503.

        A part of a large body may be in the stream then; the rest comes with the whole again, as
        repeats.
        """
        if truncated:
            log.warning("alerts_truncated_by_sender", source=source, left_out=truncated)
        if not alerts:
            return
        for part in _parts(alerts):
            messages = [Message(alert.partition_key, encode_alert(alert)) for alert in part]
            try:
                await self.stream.append(messages)
            except PermanentError:
                for message in messages:
                    await self._append_alone(source, message)

    async def _append_alone(self, source: str, message: Message) -> None:
        """One that the stream will never take must not keep its neighbours out."""
        try:
            await self.stream.append([message])
        except PermanentError as error:
            log.warning("record_refused", source=source, error=str(error))
            await self.refuse(message, error)

    async def refuse(self, message: Message, error: PermanentError) -> None:
        """Keep a record that the stream will never take. Raises TransientError."""
        letter = self._letter(f"{self.stream.name}/refused", str(error), message.value)
        await self._keep([replace(letter, record_key=message.key)])

    async def dead_letter(self, source: str, rejected: Sequence[Rejected]) -> Sequence[str]:
        """Keep what couldn't be understood, one row per content, and return the ids.

        Raises FullError where there is no room for it.
        """
        letters = [
            replace(
                self._letter(source, each.problem, each.raw),
                field=each.field,
                is_part=each.index >= 0,
            )
            for each in rejected
        ]
        await self._keep(letters)
        return [letter.id for letter in letters]

    async def _keep(self, letters: Sequence[DeadLetter]) -> None:
        for part in _parts(letters):
            await self.store.write(partial(keep_of_sender, letters=part, retention=self.retention))

    def _letter(self, source: str, reason: str, body: bytes) -> DeadLetter:
        now = self.clock.now()
        return DeadLetter(
            id=dead_letter_id(body),
            source=source,
            reason=cut(reason, BRIEF_LIMIT),
            field="",
            body=body,
            first_at=now,
            last_at=now,
        )


def _parts(whole: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(whole), KEPT_AT_ONCE):
        yield whole[start : start + KEPT_AT_ONCE]
