"""What the contract suite needs to know of a source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from engine.core.alert import AlertStatus
from engine.ports.source import Admission, Sender, Source

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
Signed = Callable[[bytes], tuple[Mapping[str, str], bytes]]


class MakeNotice(Protocol):
    """Makes the decoded body of one notice, always of the same alert."""

    def __call__(self, status: AlertStatus, event_time: datetime, received_at: datetime) -> Any:
        """What the sender says that happened at `event_time`; None where it never says that."""
        ...


@dataclass(frozen=True)
class Case:
    """A source, a body of `count` sound alerts, and what a true sender makes of a body at NOW.

    `signed` gives the headers and the bytes that are sent; `covers_body` says whether the headers
    or the body itself hold a signature over all that the source reads of it. `signed_fields` are
    some of those in the body, and `names_its_key` says that it tells where the key is. `notice`
    lets the suite tell whole stories of one alert.
    """

    make: Callable[[str], Source]
    signed: Signed
    body: Any
    count: int
    notice: MakeNotice
    covers_body: bool = False
    signed_fields: tuple[str, ...] = ()
    names_its_key: bool = False
    max_body_bytes: int = 1 << 20


def by_headers(headers: Mapping[str, str]) -> Signed:
    """For credentials that don't depend on the body."""
    return lambda body: (headers, body)


async def admission(source: Source, headers: Mapping[str, str], body: bytes) -> Admission:
    """What the gateway comes to."""
    sender = Sender(headers)
    found = await source.admit(sender, NOW)
    if found.outcome == "by_body":
        return await source.admit_body(sender, body, NOW)
    return found
