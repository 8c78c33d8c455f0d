"""When the emergency address is told, and what: in words that need nothing but this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# A store that fails over is back within this.
OUTAGE_S = 60.0
# Each process keeps to it, whatever happens meanwhile; the end of a trouble waits for it too.
TELL_EVERY_S = 5 * 60.0
# A trouble that stays as it is.
REMIND_EVERY_S = 30 * 60.0
MAX_CHARACTERS = 2_000

Telling = Literal["nothing", "trouble", "over"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What people can't be told in the usual way; the same `name` is the same trouble."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Told:
    """The last message: when it was sent, and of which troubles; none when they were over.

    `at_s` is on the monotonic clock: a clock that is set right must not silence it.
    """

    at_s: float
    names: frozenset[str]


def what_to_tell(told: Told | None, troubles: Sequence[Trouble], now_s: float) -> Telling:
    """A new trouble, or one that stays; the end of the last; or nothing, for now."""
    names = frozenset(each.name for each in troubles)
    if told is not None and now_s - told.at_s < TELL_EVERY_S:
        return "nothing"
    if not names:
        return "over" if told is not None and told.names else "nothing"
    if told is None or told.names != names or now_s - told.at_s >= REMIND_EVERY_S:
        return "trouble"
    return "nothing"


def trouble_text(process: str, troubles: Sequence[Trouble], spooled: int) -> str:
    """The message; `process` is host and process id, `spooled` what waits on its disk."""
    lines = [f"quell ({process}) can't do its work and can't tell people in the usual way:"]
    lines += [f"- {each.sentence}" for each in troubles]
    if spooled:
        lines.append(f"{spooled} alerts are safe on its disk and wait there.")
    lines.append("GET /readyz and /healthz of it say more. This message is in no journal.")
    return _bounded("\n".join(lines))


def over_text(process: str) -> str:
    """The message when the last one's troubles are over."""
    return f"quell ({process}) works again. What happened meanwhile is in its log."


def trial_text(process: str) -> str:
    """What a person sends to try the address."""
    return f"This is a test of quell's emergency address, sent from {process}. Nothing is wrong."


def _bounded(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[: MAX_CHARACTERS - 2].rstrip()} …"
