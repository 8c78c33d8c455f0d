"""The root of all event bodies."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


def moment(text: str) -> datetime:
    """The aware time of an RFC 3339 text in an event."""
    return datetime.fromisoformat(text)


class Event(BaseModel):
    """Root of all event bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    KIND: ClassVar[str]
