"""What of one run is under way side by side: begun together, each ending in its own time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from engine.core.run_commands import CommandKey, Lasting
from engine.ports.clock import Clock

# More than this at once of one run would only wait for the same hosts and the same journal.
AT_ONCE = 10


@dataclass(slots=True)
class Lanes:
    """Carries out commands in `group`, at most AT_ONCE at a time.

    One that fails cuts no other short: what they change must be known to its end. `failed` are
    the errors, in the order in which they came.
    """

    group: asyncio.TaskGroup
    clock: Clock
    failed: list[Exception] = field(default_factory=list)
    _under_way: set[CommandKey] = field(default_factory=set)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def under_way(self) -> frozenset[CommandKey]:
        """The keys of the commands that are being carried out."""
        return frozenset(self._under_way)

    def begin(
        self, commands: Iterable[Lasting], carry_out: Callable[[Lasting], Awaitable[object]]
    ) -> None:
        """Begin those that aren't under way already, as far as there is room."""
        for command in commands:
            if command.key not in self._under_way and len(self._under_way) < AT_ONCE:
                self._under_way.add(command.key)
                self.group.create_task(self._carry_out(command, carry_out))

    async def _carry_out(
        self, command: Lasting, carry_out: Callable[[Lasting], Awaitable[object]]
    ) -> None:
        try:
            await carry_out(command)
        except Exception as error:  # noqa: BLE001 - told once nothing is under way
            self.failed.append(error)
        finally:
            self._under_way.remove(command.key)
            self._ended.set()

    async def an_end(self, at_most_s: float) -> None:
        """Return once one has ended since the last call, or after so many seconds."""
        timer = self.group.create_task(self._after(at_most_s))
        await self._ended.wait()
        self._ended.clear()
        timer.cancel()

    async def _after(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._ended.set()
