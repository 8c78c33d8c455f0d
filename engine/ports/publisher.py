"""Where others follow incidents: a topic outside of quell, fed from the store's outbox.

`python -m engine.ports.publisher > docs/schemas/incident-v1.json` writes the shape of what comes.
"""

import sys
from typing import Protocol

from engine.core.incident_state import schema_text
from engine.ports.stream import Message


class Publisher(Protocol):
    """Appends to one named topic."""

    @property
    def name(self) -> str:
        """How people know it: the topic's name."""
        ...

    async def open(self) -> None:
        """Raises ConfigError when it can't work as configured, TransientError when it is away."""
        ...

    async def publish(self, message: Message) -> None:
        """Append durably, behind all of its key that this process published before.

        Raises PermanentError when it will never be taken, and TransientError when it isn't known
        to be there: it comes again then.
        """
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


if __name__ == "__main__":
    sys.stdout.write(schema_text())
