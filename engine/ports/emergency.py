"""The one address that is told when nothing else can be: no store, no stream, no journal."""

from typing import Protocol


class Emergency(Protocol):
    """Where people are reached although quell's own ways don't work."""

    async def tell(self, text: str) -> None:
        """Deliver `text`.

        Raises TransientError or PermanentError when it was not delivered, OutcomeUnknownError
        when nobody knows.
        """
        ...
