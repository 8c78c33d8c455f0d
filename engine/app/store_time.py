"""One time for all replicas: the store's, which each carries on by itself between two looks."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from engine.app.process import AnchoredClock
from engine.errors import TransientError
from engine.ports.store import Store

# Between two looks, a machine's clock drifts by less than a millisecond.
LOOK_EVERY_S = 10.0
# A later answer says too little about now, and a smaller difference is no jump: what the clock
# orders shall not see it step back and forth.
UNCERTAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class StoreTime:
    """Keeps `clock` at the store's time.

    Alerts are dated and ordered by it, so who sets a machine's clock wrong makes no alert old,
    new or over, and replicas agree on which notice was the later one.
    """

    store: Store
    clock: AnchoredClock

    async def run(self) -> None:
        """Look until cancelled; while the store is away the clock goes on by itself."""
        while True:
            await self.clock.sleep(LOOK_EVERY_S)
            with suppress(TransientError):
                await self.look()

    async def look(self) -> None:
        """Set the clock, where a prompt answer proves it wrong. Raises TransientError."""
        asked_s = self.clock.monotonic()
        now = await self.store.read(lambda tx: tx.now)
        prompt = self.clock.monotonic() - asked_s <= UNCERTAIN_S
        if prompt and abs(now - self.clock.now()) > timedelta(seconds=UNCERTAIN_S):
            self.clock.set(now)
