"""What systemd is told of this process, because it asks no page: ready, alive, stopping.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.ports.clock import Clock

# A unit's WatchdogSec should be three times as long or more.
ALIVE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Systemd:
    """Speaks to `address` (NOTIFY_SOCKET); "" where nobody listens."""

    address: str
    clock: Clock
    problems: Callable[[], Sequence[str]]

    async def run(self) -> None:
        """Say that the process is alive as long as its healthz does, until cancelled."""
        while True:
            if not self.problems():
                self.tell("WATCHDOG=1")
            await self.clock.sleep(ALIVE_EVERY_S)

    def tell(self, state: str) -> None:
        """Say it, where somebody listens; a lost word is as good as none."""
        if not self.address:
            return
        # A leading @ means the abstract namespace, which begins with a zero byte.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(0)
            out.sendto(state.encode(), address)
