"""Turns off what stays on until a person says so."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.core import events
from engine.core.access import may_order
from engine.core.conditions import GroupState
from engine.core.journal import NewEntry
from engine.core.storm_brake import STORM_BRAKE
from engine.core.switches import Switch
from engine.errors import ConflictError, DeniedError, NotFoundError
from engine.ports.accepted_modes import accept, waiting_raise
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
        may_order(by.actor, by.roles).demand()

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

    async def confirm_raises(self, version: str, *, by: By, reason: str = "") -> events.ModesRaised:
        """See Switches."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> events.ModesRaised:
            waiting = waiting_raise(tx)
            if waiting is None:
                raise NotFoundError("nothing waits for a second person")
            raised, activator = waiting
            if not version or not raised.version.startswith(version):
                raise ConflictError(
                    f"catalog {raised.version[:12]} waits for a second person, not {version!r}: "
                    "look at it with `quell raises show`"
                )
            if by.actor == activator:
                raise DeniedError(
                    f"{activator} activated it, and another person has to confirm it: with a token "
                    "of their own (quell.yaml: access.tokens)"
                )
            accepted = events.ModesAccepted(
                version=raised.version,
                modes=raised.modes,
                raised=raised.raised,
                reason=reason,
                via=by.via,
            )
            accept(tx, accepted, by.actor)
            return raised

        return await self.store.write(work)
