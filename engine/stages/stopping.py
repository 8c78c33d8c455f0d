"""The file that stops everything: while it is there, so is the order."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from engine.core.access import ADMIN
from engine.errors import OutcomeUnknownError, TransientError
from engine.ports.clock import Clock
from engine.ports.commands import By, Commands, Queries

log = structlog.get_logger(__name__)

# Together with the watch over each attempt, what is under way is signalled within a second.
LOOK_EVERY_S = 0.25
# Who may write into the data folder may order.
BY_FILE = By("file", "file", frozenset({ADMIN}))


@dataclass(frozen=True, slots=True)
class StopFileStage:
    """Orders a stop of everything when the file appears; only `quell resume` ends that one.

    `written` gives the reason that the file holds, "" while there is no file.
    """

    commands: Commands
    queries: Queries
    clock: Clock
    written: Callable[[], str]

    async def look(self) -> None:
        """Look once; call it before any task is claimed. Raises TransientError."""
        if not self.written() or any(stop.scope == "all" for stop in await self.queries.stops()):
            return
        # Once more, because `quell resume` removes the file before it lifts the stop.
        reason = self.written()
        if reason:
            await self.commands.stop("all", by=BY_FILE, reason=reason)
            log.warning("stopped_by_file", reason=reason)

    async def watch(self) -> None:
        """Look until cancelled; a store that is away is asked again."""
        while True:
            try:
                await self.look()
            except (TransientError, OutcomeUnknownError) as error:
                log.error("stop_file_not_obeyed", error=str(error))
            await self.clock.sleep(LOOK_EVERY_S)
