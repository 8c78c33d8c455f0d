"""The root of all event bodies."""

from datetime import datetime
from functools import partial
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from engine.core.bounds import cut

TITLE_LIMIT = 300
BRIEF_LIMIT = 2_000
EVIDENCE_LIMIT = 8_000

# Texts that others decide on, so that no writer of an entry can forget to cut them.
Title = Annotated[str, AfterValidator(partial(cut, limit=TITLE_LIMIT))]
Brief = Annotated[str, AfterValidator(partial(cut, limit=BRIEF_LIMIT))]
Evidence = Annotated[str, AfterValidator(partial(cut, limit=EVIDENCE_LIMIT))]


def moment(text: str) -> datetime:
    """The aware time of an RFC 3339 text in an event."""
    return datetime.fromisoformat(text)


class Event(BaseModel):
    """Root of all event bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    KIND: ClassVar[str]
