"""One attempt at a change: made once, signalled when its run may not go on, and how it ended."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from engine.core import events
from engine.core.actions import Call, Result
from engine.core.plan import AFTER_CANCEL
from engine.core.reporting import Ending
from engine.core.stops import stopped_by
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.action import Action
from engine.ports.clock import Clock
from engine.ports.store import Store, Tx

# How often an attempt under way looks whether it must end: within a second it is signalled.
WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class Attempting:
    """Makes attempts of a run, each under watch; the intent is journaled before.

    `playbooks` are those whose stop ends them: the run's own and those that it calls.
    """

    store: Store
    clock: Clock
    playbooks: tuple[str, ...]

    async def make(
        self, action: Action, call: Call, intent: events.AttemptIntended, begin_by: float
    ) -> Ending:
        """Act, and tell what is known of it.

        A stop that covers the run, or its cancellation, cancels the action: an end that the
        action doesn't tell is then unknown. When the caller itself is cancelled this raises
        CancelledError, and nothing is known.

        A worker that was held up after the intent (a paused machine) begins nothing that could
        be under way after the intent's `not_after`, when others look, and may repeat: `begin_by`
        is the last moment for it, on the monotonic clock.
        """
        began_at = self.clock.monotonic()
        if began_at > begin_by:
            error = "the worker was held up for too long after its intent: nothing was begun"
            return Ending(Result(succeeded=False, error=error), "failed", begun=False)
        try:
            async with asyncio.TaskGroup() as group:
                acting = group.create_task(self._act(action, call))
                watching = group.create_task(self._signal(acting, intent))
                acting.add_done_callback(lambda _: watching.cancel())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        # Cancelled here is the action alone: the group would have passed a caller's on.
        if not acting.cancelled():
            return acting.result()
        why = "the action gave up" if watching.cancelled() else watching.result()
        until = f"{events.moment(intent.not_after):%H:%M:%S} UTC"
        error = f"{why}; signalled, it may be under way on the target until {until}"
        duration_s = self.clock.monotonic() - began_at
        return Ending(Result(succeeded=False, error=error), "unknown", duration_s=duration_s)

    async def _signal(self, acting: asyncio.Task[Ending], intent: events.AttemptIntended) -> str:
        """Cancel `acting` once its run may not go on, and return why."""
        while True:
            await self.clock.sleep(WATCH_S)
            # A store that can't be asked is no reason to cut a change short.
            with suppress(TransientError):
                why = await self.store.read(lambda tx: self._revoked(tx, intent))
                if why:
                    acting.cancel()
                    return why

    def _revoked(self, tx: Tx, intent: events.AttemptIntended) -> str:
        """Why this attempt must end, "" while it need not."""
        run, stops = tx.run(intent.run_id), tx.stops()
        if run is None:
            return ""
        if run.phase == "cancelling" and intent.phase not in AFTER_CANCEL:
            return "the run was cancelled"
        incident = tx.incident(run.incident_id) if stops else None
        return stopped_by(stops, incident.rule_id if incident else "", *self.playbooks)

    async def _act(self, action: Action, call: Call) -> Ending:
        began_at = self.clock.monotonic()
        outcome: events.AttemptOutcome
        begun = True
        try:
            result = await action.execute(call)
            outcome = "succeeded" if result.succeeded else "failed"
        except (TransientError, PermanentError) as error:
            result, outcome, begun = Result(succeeded=False, error=str(error)), "failed", False
        except OutcomeUnknownError as error:
            result, outcome = Result(succeeded=False, error=str(error)), "unknown"
        return Ending(result, outcome, begun, self.clock.monotonic() - began_at)
