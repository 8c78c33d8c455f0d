"""Alert sources: who may send, what a body says, whether it still fires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engine.core.alert import Alert, Occurrence
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation


@dataclass(frozen=True, slots=True)
class Rejected:
    """One part of a body that isn't an alert: its index, the field, what is wrong, the raw part.

    Index -1 is the body as a whole.
    """

    index: int
    field: str
    problem: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a body held. `truncated` counts alerts that the sender says it left out."""

    alerts: Sequence[Alert]
    rejected: Sequence[Rejected] = ()
    truncated: int = 0


class Source(Protocol):
    """A configured input. `parse` is pure and never fails on an unknown field."""

    @property
    def name(self) -> str:
        """As configured; part of every fingerprint."""
        ...

    @property
    def max_body_bytes(self) -> int:
        """Above it a body is refused with 413."""
        ...

    @property
    def has_credentials(self) -> bool:
        """Whether senders elsewhere can get in at all; without, only loopback ones do."""
        ...

    def authenticated(self, headers: Mapping[str, str]) -> bool:
        """Whether the (lower-case) headers hold this source's credentials; takes constant time."""
        ...

    def parse(self, body: Json, received_at: datetime, *, form: str = "") -> Parsed:
        """The alerts of a decoded JSON body; `form` names the wire format where a source has two.

        Raises PayloadError when the whole body can't be understood.
        """
        ...

    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        """Whether one of its occurrences still fires, asked at the configured address.

        Where none is configured, the last notice counts (engine.core.still_firing). Raises
        TransientError or PermanentError where the answer can't be had.
        """
        ...
