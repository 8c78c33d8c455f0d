"""Turns off what stays on until a person says so."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.core import events
from engine.core.access import may_order
from engine.core.conditions import GroupState
from engine.core.journal import NewEntry
from engine.core.storm_brake import STORM_BRAKE
from engine.core.switches import Switch
from engine.errors import DeniedError, NotFoundError
from engine.ports.braking import tell_brake
from engine.ports.commands import By
from engine.ports.recording import Author
from engine.ports.store import Store, Tx


@dataclass(frozen=True, slots=True)
class SwitchStage:
    """The Switches port over the store."""

    store: Store
    author: Callable[[], Author]

    async def lift_brake(self, *, by: By, reason: str = "") -> Switch:
        """Let `auto` act again; what was on. Raises DeniedError, NotFoundError when it is off."""
        verdict = may_order(by.actor, by.roles)
        if not verdict.allowed:
            raise DeniedError(verdict.reason)

        def work(tx: Tx) -> Switch:
            # As who brakes does: first what is counted, which begins anew, and then the switch.
            tx.conditions.group(STORM_BRAKE)
            tx.conditions.put_group(GroupState(STORM_BRAKE))
            switch = tx.switches.find(STORM_BRAKE)
            if switch is None or not tx.switches.turn_off(STORM_BRAKE):
                raise NotFoundError("the storm brake isn't on: nothing is to be lifted")
            event = events.BrakeLifted(reason=reason, via=by.via)
            tx.append("access", [NewEntry(event, tx.now, by.actor, self.author().catalog)])
            tell_brake(tx)
            return switch

        return await self.store.write(work)
