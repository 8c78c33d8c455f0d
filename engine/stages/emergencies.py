"""Tells the emergency address what people can't be told in the usual way.

It is the one effect that isn't journaled: the journal is what may be missing. So it needs nothing
but this process's memory, and nothing waits for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from engine.core.emergency import Told, Trouble, over_text, trouble_text, what_to_tell
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.clock import Clock
from engine.ports.emergency import Emergency
from engine.ports.metrics import Metrics

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
# After a message that wasn't delivered.
RETRY_S = 30.0
TELL_WITHIN_S = 30.0


@dataclass(slots=True)
class EmergencyStage:
    """Looks at `troubles` until cancelled, and tells of them at most every five minutes.

    `process` is host and process id; `spooled` gives how many records wait on this machine's disk.
    """

    address: Emergency
    clock: Clock
    metrics: Metrics
    process: str
    troubles: Callable[[], Sequence[Trouble]]
    spooled: Callable[[], int] = int
    _told: Told | None = None

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self.clock.sleep(await self.look())

    async def look(self) -> float:
        """Tell what is to be told now, and return in how many seconds to look again."""
        troubles = self.troubles()
        telling = what_to_tell(self._told, troubles, self.clock.monotonic())
        if telling == "nothing":
            return LOOK_EVERY_S
        text = over_text(self.process)
        if telling == "trouble":
            text = trouble_text(self.process, troubles, self.spooled())
        try:
            async with asyncio.timeout(TELL_WITHIN_S):
                await self.address.tell(text)
            outcome = "told"
        except (TransientError, PermanentError) as error:
            self.metrics.emergency_messages.labels(outcome="failed").inc()
            log.error("emergency_not_told", error=str(error), text=text)
            return RETRY_S
        except (OutcomeUnknownError, TimeoutError) as error:
            # It may have arrived, so it counts: five minutes are the promise.
            outcome = "unknown"
            log.error("emergency_perhaps_told", error=str(error) or "no answer in time", text=text)
        else:
            log.warning("emergency_told", text=text)
        self.metrics.emergency_messages.labels(outcome=outcome).inc()
        self._told = Told(self.clock.monotonic(), frozenset(each.name for each in troubles))
        return LOOK_EVERY_S
