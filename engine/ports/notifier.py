"""Telling people, and hearing their decisions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from engine.core.events import Decision
from engine.core.incident_view import IncidentView


class Notifier(Protocol):
    """One message per incident, updated in place."""

    @property
    def name(self) -> str:
        """As configured; part of the journal."""
        ...

    async def show(self, view: IncidentView, ref: str) -> str:
        """Post (ref "") or update the incident's message and return its reference.

        Raises TransientError (try again later) or PermanentError (it will never go through).
        """
        ...


@dataclass(frozen=True, slots=True)
class Click:
    """A person's decision on some surface; `actor` is e.g. `slack:T1/U1`, never a display name."""

    approval_id: str
    plan_hash: str
    decision: Decision
    actor: str
    via: str
    reason: str = ""


class Approver(Protocol):
    """A surface on which people decide."""

    async def listen(self, decide: Callable[[Click], Awaitable[str]]) -> None:
        """Hear decisions until cancelled; `decide` returns the sentence to show the person.

        The vendor's acknowledgement is sent only after `decide` returned: then it is durable.
        """
        ...
