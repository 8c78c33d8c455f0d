"""Silences: for some time, alerts that match open nothing, tell nobody and start nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from engine.core.calendars import Calendar
from engine.core.condition_words import compile_matchers
from engine.core.ids import derived_id
from engine.core.matcher_index import MatcherIndex, keys_of_all
from engine.core.matchers import Matcher
from engine.core.mistakes import Mistakes
from engine.errors import PermanentError

MAX_MATCHERS = 20
# How the origin of those begins that runs set.
OF_RUN = "run:"


@dataclass(frozen=True, slots=True)
class Silence:
    """From `starts_at` until before `ends_at`, for alerts that all `matchers` hold for.

    `origin` names it where it was imported from: an Alertmanager's address and its id there; or
    the run that expects these alerts. With `targets` it is for alerts of these alone.
    """

    id: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    actor: str
    comment: str
    origin: str = ""
    targets: tuple[str, ...] = ()

    @property
    def is_expected(self) -> bool:
        """Whether a run set it for what it causes, and nobody who meant to keep it quiet."""
        return self.origin.startswith(OF_RUN)

    def holds_at(self, at: datetime) -> bool:
        """Whether it is in force."""
        return self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class RecurringSilence:
    """One of the policy's: in force while its calendar holds."""

    id: str
    calendar: Calendar
    matchers: tuple[Matcher, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Silenced:
    """By which silence an alert waits, why, and until when; None where that isn't known."""

    by: str
    why: str
    until: datetime | None


def silence_id(actor: str, matchers: Sequence[str], at: datetime, origin: str = "") -> str:
    """Derived: of an imported one from its origin, so that importing it again changes it."""
    if origin:
        return derived_id("silence", origin)
    return derived_id("silence", actor, at.isoformat(), *matchers)


def check_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """The matchers of a silence. Raises PermanentError, with what is wrong."""
    if not 0 < len(texts) <= MAX_MATCHERS:
        raise PermanentError(f"a silence has 1 to {MAX_MATCHERS} matchers, not {len(texts)}")
    mistakes = Mistakes()
    found = compile_silencing(texts, mistakes)
    for each in mistakes.found:
        matcher = "".join(f"matcher {texts[int(index)]!r}: " for index in each.path)
        raise PermanentError(f"{matcher}{each.message}")
    return found


def compile_silencing(texts: Sequence[str], mistakes: Mistakes) -> tuple[Matcher, ...]:
    """The matchers of what silences; a mistake is at its element, or at all of them."""
    found = compile_matchers(texts, mistakes)
    if len(found) == len(texts) and all(matcher.matches({}) for matcher in found):
        mistakes.add(f"{', '.join(texts)} would silence every alert; name a label's value")
    return found


@lru_cache(maxsize=4096)
def _parsed(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    return check_matchers(texts)


@dataclass(frozen=True, slots=True)
class SilenceBook:
    """All silences that are known, indexed by their matchers."""

    once: Sequence[Silence] = ()
    recurring: Sequence[RecurringSilence] = ()
    _index: MatcherIndex = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", MatcherIndex(map(keys_of_all, self._matchers())))

    def _matchers(self) -> list[tuple[Matcher, ...]]:
        return [
            *(_parsed(each.matchers) for each in self.once),
            *(each.matchers for each in self.recurring),
        ]

    def over(self, labels: Mapping[str, str], target: str, at: datetime) -> Silenced | None:
        """The silence that an alert of this target is under at this time; the longest.

        `target` is "" where the inventory knows none.
        """
        if not self.once and not self.recurring:
            return None
        found: list[Silenced] = []
        for place in self._index.candidates(labels):
            if place < len(self.once):
                silence = self.once[place]
                matchers = _parsed(silence.matchers)
                if silence.targets and target not in silence.targets:
                    continue
                if silence.holds_at(at) and all(each.matches(labels) for each in matchers):
                    why = f"{silence.actor}: {silence.comment}"
                    found.append(Silenced(silence.id, why, silence.ends_at))
                continue
            recurring = self.recurring[place - len(self.once)]
            matches = all(each.matches(labels) for each in recurring.matchers)
            if matches and recurring.calendar.contains(at):
                until = recurring.calendar.next_change(at)
                found.append(Silenced(recurring.id, recurring.why, until))
        return max(found, key=lambda each: (each.until is None, each.until), default=None)
