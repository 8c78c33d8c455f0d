"""Trackers: one ticket an incident."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """`key` is the incident's id: the tracker finds a ticket that it already made by it."""

    key: str
    title: str
    body_markdown: str
    severity: str
    service: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as people find it."""

    key: str
    url: str


class Tracker(Protocol):
    """Jira and its like."""

    @property
    def name(self) -> str:
        """As configured; part of the journal."""
        ...

    async def open(self, draft: TicketDraft, *, may_exist: bool) -> Ticket:
        """Make the ticket, or return the one that exists for `draft.key`.

        `may_exist` says that an earlier try had an unknown outcome: look first. Raises
        OutcomeUnknownError when the answer was lost, TransientError, PermanentError.
        """
        ...

    async def close(self) -> None:
        """Give back what was opened."""
        ...
