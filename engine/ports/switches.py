"""What is on until a person turns it off: its rows, and the orders about it."""

from typing import Protocol

from engine.core import events
from engine.core.switches import Switch
from engine.ports.commands import By


class SwitchRows(Protocol):
    """Of one transaction."""

    def find(self, name: str) -> Switch | None:
        """The switch, None while it is off."""
        ...

    def turn_on(self, switch: Switch) -> bool:
        """Insert; False when it is on already, which stays as it is."""
        ...

    def turn_off(self, name: str) -> bool:
        """Remove; False when it isn't on."""
        ...


class Switches(Protocol):
    """Orders to turn one off."""

    async def confirm_raises(self, version: str, *, by: By, reason: str = "") -> events.ModesRaised:
        """Let everything go as far as this catalog version says, by a prefix of it; what waited.

        Raises DeniedError for who activated it, NotFoundError where nothing waits, and
        ConflictError where another version does.
        """
        ...

    async def lift_brake(self, *, by: By, reason: str = "") -> Switch:
        """Let `auto` act again; what was on. Raises DeniedError, NotFoundError when it is off."""
        ...
