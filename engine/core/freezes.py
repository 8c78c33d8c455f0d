"""Change freezes: while a calendar holds, changes of what they name wait, end, or are asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.core.calendars import Calendar
from engine.core.expressions import Bindings, Expression, ExpressionFailedError
from engine.core.guards import Refusal
from engine.core.scopes import POLICY_FIELDS
from engine.core.severity import Mode, ModeLimit

# Whoever waits longer than this finds that the world has changed, and has to look again.
DEFERRED_AT_MOST = timedelta(hours=24)
# Somebody may take the freeze out of the policy meanwhile.
ASK_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CheckedFreeze:
    """One freeze of the policy; without `when` it covers every change."""

    id: str
    calendar: Calendar
    when: Expression | None
    policy: Literal["defer", "skip", "ask"]
    why: str

    def covers(self, subjects: Iterable[Bindings]) -> bool:
        """Whether it is about one of these; where its expression fails, it is."""
        if self.when is None:
            return True
        for subject in subjects:
            try:
                if self.when.evaluate(subject):
                    return True
            except ExpressionFailedError:
                return True
        return False


def freezes_over(
    freezes: Sequence[CheckedFreeze], subjects: Sequence[Mapping[str, str]], at: datetime
) -> Sequence[CheckedFreeze]:
    """Those in force at `at` over a change of these subjects; see `policy_limits` for them."""
    return _over([each for each in freezes if each.calendar.contains(at)], subjects)


def freezes_ahead(
    freezes: Sequence[CheckedFreeze],
    subjects: Sequence[Mapping[str, str]],
    at: datetime,
    until: datetime,
) -> Sequence[CheckedFreeze]:
    """Those in force at `at`, and then those that begin by `until`, the next one first."""
    in_force = freezes_over(freezes, subjects, at)
    begins = (
        (each.calendar.next_change(at), index, each)
        for index, each in enumerate(_over(freezes, subjects))
        if each not in in_force
    )
    coming = sorted((when, index, each) for when, index, each in begins if when and when <= until)
    return [*in_force, *(each for _, _, each in coming)]


def _over(
    freezes: Sequence[CheckedFreeze], subjects: Sequence[Mapping[str, str]]
) -> Sequence[CheckedFreeze]:
    bindings = [Bindings({name: each.get(name, "") for name in POLICY_FIELDS}) for each in subjects]
    return [each for each in freezes if each.covers(bindings)]


def freeze_limits(found: Sequence[CheckedFreeze]) -> list[ModeLimit]:
    """What those that ask make of the mode."""
    return [
        ModeLimit(Mode.APPROVE, f"freeze {each.id} ({each.why})")
        for each in found
        if each.policy == "ask"
    ]


def freeze_refusal(found: Sequence[CheckedFreeze], mode: Mode, at: datetime) -> Refusal | None:
    """What those in force mean for a run before its first change; a skip comes before a wait.

    One that asks stands only in the way of a run that would ask nobody: it began after the plan.
    """
    refused = [each for each in found if each.policy == "skip"]
    waiting = [
        each
        for each in found
        if each.policy == "defer" or (each.policy == "ask" and mode is Mode.AUTO)
    ]
    for each in (*refused, *waiting):
        until = each.calendar.next_change(at)
        told = f"freeze {each.id} ({each.why})"
        if until is not None:
            told += f" until {until:%Y-%m-%d %H:%M} UTC"
        return Refusal(
            "freeze", told, waits=each in waiting, longest=DEFERRED_AT_MOST, again=ASK_AGAIN
        )
    return None
