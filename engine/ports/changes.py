"""Orders that tell of what others changed."""

from typing import Protocol

from engine.core.recent_changes import OutsideChange
from engine.ports.commands import By


class Changes(Protocol):
    """What pipelines, provisioning, autoscalers and people say that they did."""

    async def tell_change(
        self, change: OutsideChange, *, by: By, reason: str = ""
    ) -> OutsideChange:
        """Keep that somebody changed this just now; the same, with ids for aliases.

        Raises DeniedError, and NotFoundError for what the inventory doesn't know.
        """
        ...
