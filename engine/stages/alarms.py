"""quell's own alert about what stands still in it: through the stream, like any other alert.

It goes to a partition that moves, where there is one. Whether it was decided is looked up: where
nothing is, an incident can't tell people, and the emergency address has to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from engine.core.alert import Alert
from engine.core.emergency import Trouble
from engine.core.progress import (
    EXPIRES_AFTER,
    OWN_SOURCE,
    STALLED_S,
    Standing,
    partition_part,
    stall_alert,
)
from engine.core.records import encode_alert
from engine.errors import OutcomeUnknownError, TransientError
from engine.ports.clock import Clock
from engine.ports.store import Store
from engine.ports.stream import Message, Stream

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
# Sent again so often that one or two may be lost before it expires.
REPEAT_AFTER_S = EXPIRES_AFTER.total_seconds() / 4
# By then it was decided, if anything is.
DECIDED_WITHIN_S = STALLED_S
# Enough to meet nearly each of a hundred partitions.
KEYS = (OWN_SOURCE, *(f"{OWN_SOURCE}/{n}" for n in range(1, 500)))


@dataclass(slots=True)
class _Raised:
    """An alert that fires; times are on the monotonic clock."""

    standing: Standing
    first_s: float
    last_s: float
    decided: bool = False


@dataclass(slots=True)
class AlarmStage:
    """Raises, repeats and resolves, until cancelled.

    `standing` gives every part of the engine as it was seen last, `reasons` what is known of why
    a partition stands. Several processes raise the same alert: it is one occurrence.
    """

    store: Store
    stream: Stream
    clock: Clock
    standing: Callable[[], Mapping[str, Standing]]
    reasons: Callable[[], Mapping[int, str]] = dict
    _raised: dict[str, _Raised] = field(default_factory=dict)

    async def run(self) -> None:
        """Look again and again; what can't be raised now is raised later."""
        while True:
            try:
                await self.look()
            except (TransientError, OutcomeUnknownError) as error:
                log.warning("alarm_waits", error=str(error))
            await self.clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Raise what has stalled, resolve what moves again. Raises TransientError."""
        now, now_s, standing = self.clock.now(), self.clock.monotonic(), self.standing()
        for part, each in standing.items():
            raised = self._raised.get(part)
            if each.is_stalled and (raised is None or now_s - raised.last_s >= REPEAT_AFTER_S):
                await self._raise(each)
        for part, raised in list(self._raised.items()):
            if part not in standing or not standing[part].is_stalled:
                await self._send(stall_alert(raised.standing, "resolved", now))
                log.info("moves_again", part=part)
                del self._raised[part]
        await self._look_whether_decided()

    def troubles(self) -> list[Trouble]:
        """The stalls that nobody heard of, because their alert isn't decided either."""
        now_s = self.clock.monotonic()
        return [
            Trouble(part, f"{raised.standing.sentence}, and nothing else is decided. Restart it")
            for part, raised in self._raised.items()
            if not raised.decided and now_s - raised.first_s >= DECIDED_WITHIN_S
        ]

    async def _raise(self, standing: Standing) -> None:
        part, now_s = standing.seen.part, self.clock.monotonic()
        known = {partition_part(p): reason for p, reason in self.reasons().items()}
        await self._send(stall_alert(standing, "firing", self.clock.now(), known.get(part, "")))
        before = self._raised.get(part)
        if before is None:
            log.error("stalled", part=part, problem=standing.sentence)
            self._raised[part] = _Raised(standing, now_s, now_s)
        else:
            before.standing, before.last_s = standing, now_s

    async def _send(self, alert: Alert) -> None:
        await self.stream.append([Message(self._key(), encode_alert(alert))])

    def _key(self) -> str:
        """One whose partition has stood for the shortest time; the first as long as that moves."""
        standing = self.standing()

        def stood_s(key: str) -> float:
            found = standing.get(partition_part(self.stream.partition_of(key)))
            return found.stood_s if found else 0.0

        return min(KEYS, key=stood_s)

    async def _look_whether_decided(self) -> None:
        if not self._raised:
            return
        of_part = {
            part: stall_alert(raised.standing, "firing", self.clock.now()).fingerprint
            for part, raised in self._raised.items()
        }
        found = await self.store.read(lambda tx: tx.occurrences(sorted(of_part.values())))
        for part, fingerprint in of_part.items():
            occurrence = found.get(fingerprint)
            self._raised[part].decided = occurrence is not None and occurrence.is_open
