"""Alert sources: who may send, what a body says, what else is fetched, whether it still fires."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from engine.core.alert import Alert, Occurrence
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation

# Below it, parsing takes about a millisecond and a thread's hand-over would cost as much.
PARSE_INLINE_BYTES = 128 * 1024
# A cloud sends one alert at a time, of 256 KiB at most.
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """What a request says before its body: headers by lower-case name, the query's values.

    `form` names the wire format where a source has two and the address tells which. `certificate`
    are the names in the client's certificate, whose authority was checked; `peer` is the address
    that the connection came from.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: str = ""
    certificate: tuple[str, ...] = ()
    peer: str = ""


# For a body that was kept, or that somebody typed: nothing but the body is known.
NOBODY = Sender()


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a sender gets in; `why` is for the log alone, and holds nothing secret.

    `by_body`: only the body can tell, which is signed. `sender` is who it was, by the name that the
    settings give it; "" where they give none.
    """

    outcome: Literal["admitted", "denied", "by_body"]
    why: str = ""
    sender: str = ""


ADMITTED = Admission("admitted")
BY_BODY = Admission("by_body")


def denied(why: str) -> Admission:
    """A sender stays out."""
    return Admission("denied", why)


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
    """What a body held. `truncated` counts alerts that the sender says it left out.

    `unfinished` is what the source has to do before the body counts as taken (see finish); its
    form is the source's own.
    """

    alerts: Sequence[Alert]
    rejected: Sequence[Rejected] = ()
    truncated: int = 0
    unfinished: object | None = None


class Taker(Protocol):
    """Keeps what a source fetched by itself, as if it had been sent."""

    async def take(self, source: "Source", body: bytes) -> None:
        """Returns once alerts are in the stream, and what isn't understood in the dead letters.

        Raises TransientError: fetch it again.
        """
        ...

    async def keep(self, source: "Source", alerts: Sequence[Alert]) -> None:
        """The same for alerts that the source found out itself."""
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """Something that a source fetches itself: a queue, or a state to compare with.

    `run` goes on until it is cancelled; it begins anew, later and later, where it fails.
    """

    name: str
    run: Callable[[Taker], Coroutine[None, None, None]]


class Source(Protocol):
    """A configured input. `parse` is pure and never fails on an unknown field.

    Most have nothing to fetch, to finish or to close: subclass it for those defaults.
    """

    @property
    def name(self) -> str:
        """As configured; part of every fingerprint."""
        ...

    @property
    def max_body_bytes(self) -> int:
        """Above it a body is refused with 413."""
        return MAX_BODY_BYTES

    @property
    def inline_bytes(self) -> int:
        """Bodies up to here are parsed at once, in about a millisecond; larger ones by a thread."""
        return PARSE_INLINE_BYTES

    @property
    def has_credentials(self) -> bool:
        """Whether senders elsewhere can get in at all; without, only loopback ones do."""
        ...

    @property
    def acknowledges_dead_letters(self) -> bool:
        """Whether a body without one sound alert is answered with 200 once it is kept.

        For a sender that would else repeat it for days.
        """
        return False

    async def admit(self, sender: Sender, now: datetime) -> Admission:
        """Whether the sender holds this source's credentials; compares in constant time.

        Asked before the body is read. Raises TransientError where that can't be told now.
        """
        ...

    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        """The same with the body as it was sent, where `admit` says that only it can tell."""
        return denied("nothing in a body lets a sender in")

    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        """The alerts of a decoded JSON body.

        Raises PayloadError when the whole body can't be understood.
        """
        ...

    def keepable(self, body: bytes) -> bytes:
        """A body or a part of one that can't be understood, as it may be kept as a dead letter.

        A source leaves out what nobody may keep, such as who did something; it is asked with
        bytes of any kind.
        """
        return body

    async def finish(self, parsed: Parsed, received_at: datetime) -> Sequence[Alert]:
        """Do what is `unfinished`, and return the alerts that came of it.

        Asked when the body's own alerts are kept. Raises TransientError: the sender is told to
        come again; PermanentError: the body is a dead letter.
        """
        return ()

    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        """Whether one of its occurrences still fires, asked at the configured address.

        Where none is configured, the last notice counts (engine.core.still_firing). Raises
        TransientError or PermanentError where the answer can't be had.
        """
        ...

    def feeds(self) -> Sequence[Feed]:
        """What it fetches itself, in each process with a gateway."""
        return ()

    async def close(self) -> None:
        """Give back what was opened."""
        return


def each_once(sources: Mapping[str, Sequence[Source]]) -> Sequence[Source]:
    """Every source of a mapping that has each by its name and by its kind."""
    return list({source.name: source for of in sources.values() for source in of}.values())
