"""Takes in again what was kept as a dead letter, once its cause is mended."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.core import events
from engine.core.access import may_order
from engine.core.alert import Alert
from engine.core.journal import NewEntry
from engine.core.records import decode_record
from engine.errors import ConflictError, NotFoundError, PayloadError, PermanentError
from engine.ports.commands import By, Intake, Replayed
from engine.ports.recording import Author
from engine.ports.rows import DeadLetter
from engine.ports.source import Parsed
from engine.ports.store import Store, Tx
from engine.ports.stream import Message, Stream

# A source's name, a body, when it was received. Raises NotFoundError when the source is gone.
Parse = Callable[[str, bytes, datetime], Parsed]
# A source's name, and what a body left it to do. Raises TransientError and PermanentError.
Finish = Callable[[str, Parsed], Awaitable[Sequence[Alert]]]


@dataclass(frozen=True, slots=True)
class ReplayStage:
    """The Replays port over the store, the stream and the gateway's own way in.

    An alert keeps the time at which it was received, so that it never undoes what came after it.
    Its record is appended before the letter is marked: a crash in between makes the next replay
    a repeat.
    """

    store: Store
    stream: Stream
    intake: Intake
    parse: Parse
    finish: Finish
    author: Callable[[], Author]

    async def replay_dead_letter(self, prefix: str, *, by: By) -> Replayed:
        """See Replays."""
        may_order(by.actor, by.roles).demand()
        letter = await self._letter(prefix)
        if letter.left_out:
            raise ConflictError(
                f"dead letter {letter.id} has no body, because dead letters were full: its record "
                f"is {letter.source}, as long as the stream holds it"
            )
        if letter.replayed_at is not None:
            at = f"{letter.replayed_at:%Y-%m-%d %H:%M:%S}"
            raise ConflictError(f"dead letter {letter.id} was replayed already, at {at} UTC")
        try:
            taken = await (self._append(letter) if letter.is_record else self._take_in(letter))
        except (PayloadError, PermanentError) as error:
            return await self._restate(letter, error)
        return await self._mark(letter, taken, by)

    async def _letter(self, prefix: str) -> DeadLetter:
        found = await self.store.read(lambda tx: tx.find_dead_letters(prefix))
        if len(found) != 1:
            problem = "there is no dead letter" if not found else "more than one dead letter is"
            raise NotFoundError(f"{problem} {prefix!r}; `quell dead-letters list` shows them")
        return found[0]

    async def _append(self, letter: DeadLetter) -> int:
        """Back into the stream, under its key; how many alerts that is."""
        value = decode_record(letter.body)
        key = letter.record_key
        if not key:
            if not isinstance(value, Alert):
                raise PayloadError("a timer whose key wasn't kept; it was set anew since")
            key = value.partition_key
        await self.stream.append([Message(key, letter.body)])
        return int(isinstance(value, Alert))

    async def _take_in(self, letter: DeadLetter) -> int:
        """Through its source's parser and the intake; how many alerts that is.

        What is still wrong beside sound alerts becomes letters of its own.
        """
        body = _around(letter) if letter.is_part else letter.body
        parsed = await asyncio.to_thread(self.parse, letter.source, body, letter.last_at)
        if parsed.rejected and not parsed.alerts:
            first = parsed.rejected[0]
            raise PayloadError(first.problem, first.field)
        await self.intake.accept(letter.source, parsed.alerts, parsed.truncated)
        if parsed.rejected:
            await self.intake.dead_letter(letter.source, parsed.rejected)
        more = await self.finish(letter.source, parsed)
        if more:
            await self.intake.accept(letter.source, more, 0)
        return len(parsed.alerts) + len(more)

    async def _restate(self, letter: DeadLetter, error: PayloadError | PermanentError) -> Replayed:
        reason, field = str(error), ""
        if isinstance(error, PayloadError):
            reason, field = error.problem, error.field or letter.field

        def restate(tx: Tx) -> DeadLetter:
            tx.restate_dead_letter(letter.id, reason, field)
            return tx.find_dead_letters(letter.id)[0]

        restated = await self.store.write(restate)
        return Replayed(restated, 0, f"It still can't be understood: {error}")

    async def _mark(self, letter: DeadLetter, alerts: int, by: By) -> Replayed:
        event = events.DeadLetterReplayed(
            letter_id=letter.id, source=letter.source, alerts=alerts, via=by.via
        )

        def mark(tx: Tx) -> DeadLetter:
            if tx.mark_replayed(letter.id):
                tx.append("access", [NewEntry(event, tx.now, by.actor, self.author().catalog)])
            return tx.find_dead_letters(letter.id)[0]

        marked = await self.store.write(mark)
        what = "1 alert" if alerts == 1 else f"{alerts} alerts"
        return Replayed(marked, alerts, f"Taken in as {what}.", accepted=True)


def _around(letter: DeadLetter) -> bytes:
    """A body that holds this part alone, at the place that its field names.

    `alerts[3].status` was in `{"alerts": [part]}`, `[3].startsAt` in `[part]`.
    """
    names = [name for name in letter.field.partition("[")[0].split(".") if name]
    body = b"[" + letter.body + b"]"
    for name in reversed(names):
        body = b"{" + json.dumps(name).encode() + b":" + body + b"}"
    return body
