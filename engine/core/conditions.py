"""When a rule that takes an alert acts on it: at once, later, with others, or not now.

An alert that doesn't act yet is held, and asked again when what it waits for may have come: a
time, another alert, or the end of one. All of this is a function of the alert's occurrence, of a
few rows and of the record's own time, so that the same records give the same answers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from engine.core.durations import format_duration
from engine.core.ids import derived_id
from engine.core.matchers import Matcher
from engine.core.severity import Severity

# What an alert waits for. A silence comes first, then what explains the alert, then its own rule.
HoldKind = Literal["silenced", "inhibited", "absorbed", "for", "window", "all_of", "absent"]

# Dependants recover some time after what they depend on.
DEPENDANTS_SETTLE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Inhibition:
    """Alerts that meet `matchers` hold back those that have the same values of `equal`."""

    matchers: tuple[Matcher, ...]
    equal: tuple[str, ...]

    @property
    def id(self) -> str:
        """Derived from its words: rules that say the same share it."""
        return derived_id("inhibition", *map(str, self.matchers), "equal", *self.equal)

    def key(self, value_of: Callable[[str], str]) -> str:
        """What an inhibiting alert and those that it holds back have in common."""
        return derived_id("inhibitor", self.id, *map(value_of, self.equal))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels inhibits."""
        return all(matcher.matches(labels) for matcher in self.matchers)


def absorber_key(service: str) -> str:
    """Under which an alert of a root cause holds back those of the services that need this one."""
    return derived_id("absorber", service)


@dataclass(frozen=True, slots=True)
class Window:
    """At least so many within a time; `distinct` names a label, "" counts each."""

    at_least: int
    of: Literal["occurrences", "alerts"]
    distinct: str
    within: timedelta


@dataclass(frozen=True, slots=True)
class AllOf:
    """One alert of each part within a time."""

    parts: tuple[tuple[Matcher, ...], ...]
    within: timedelta

    def part_of(self, labels: Mapping[str, str]) -> int | None:
        """The first part that an alert with these labels is; None: it is none."""
        for number, matchers in enumerate(self.parts):
            if all(matcher.matches(labels) for matcher in matchers):
                return number
        return None


@dataclass(frozen=True, slots=True)
class Absence:
    """It acts once no alert has come for so long."""

    for_: timedelta
    expect_from_start: bool


@dataclass(frozen=True, slots=True)
class Flapping:
    """What began so often within a time isn't over before it was stable."""

    at_least: int
    within: timedelta
    stable_for: timedelta


@dataclass(frozen=True, slots=True)
class Escalation:
    """The severity of an incident of which so many alerts fire, or that is open for so long."""

    severity: Severity
    firing: int | None
    after: timedelta | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule waits for after its matchers and `when` took an alert.

    `definition` tells windows of different words apart: an edit begins them anew.
    """

    inhibited_by: Inhibition | None = None
    for_: timedelta = timedelta(0)
    window: Window | None = None
    all_of: AllOf | None = None
    absent: Absence | None = None
    flapping: Flapping | None = None
    absorbs: bool = False
    absorbed: bool = False
    escalate: tuple[Escalation, ...] = ()
    definition: str = ""

    @property
    def may_hold(self) -> bool:
        """Whether an alert that the rule takes may have to wait."""
        return bool(
            self.inhibited_by
            or self.for_
            or self.window
            or self.all_of
            or self.absent
            or self.absorbed
        )

    @property
    def hears_repeats(self) -> bool:
        """Whether each notice counts, not only the one that opens an occurrence."""
        counts = self.window is not None and self.window.of == "alerts"
        return counts or self.absent is not None or self.all_of is not None

    def group(self, correlation: str) -> str:
        """The id of the row that keeps what is counted of one group."""
        return derived_id("group", self.definition, correlation)

    def told(self) -> Iterator[str]:
        """What has to come together before the rule acts, a phrase each."""
        if self.inhibited_by is not None:
            yield f"not while {', '.join(map(str, self.inhibited_by.matchers))} fires"
        if self.for_:
            yield f"once it has fired for {format_duration(self.for_)}"
        if self.window is not None:
            what = f"values of {self.window.distinct}" if self.window.distinct else self.window.of
            within = format_duration(self.window.within)
            yield f"once there are {self.window.at_least} {what} within {within}"
        if self.all_of is not None:
            within = format_duration(self.all_of.within)
            yield f"once all {len(self.all_of.parts)} alerts of all_of came within {within}"
        if self.absent is not None:
            yield f"once none has come for {format_duration(self.absent.for_)}"


AT_ONCE = Conditions()


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an occurrence doesn't act by a rule, and what may change that.

    `waits_for` is the key of what holds it, "" where only time does. `part` is which alert of
    all_of it is, -1 otherwise. `until` is when to ask again, None where something will say so.
    """

    rule_id: str
    kind: HoldKind
    since: datetime
    waits_for: str = ""
    part: int = -1
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that was counted: an occurrence, a notice, a label's value or a part."""

    of: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GroupState:
    """What is kept of one group of one rule; bounded by the counts that its rule asks for.

    `heard_at` is the last heartbeat of `rule_id` with these `values` of group_by; `starts` when
    its incident's alerts began, and `calm_at` when the last of them ended, both for flapping.
    """

    id: str
    marks: tuple[Mark, ...] = ()
    rule_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    heard_at: datetime | None = None
    starts: tuple[Mark, ...] = ()
    calm_at: datetime | None = None


def marked(marks: Sequence[Mark], mark: Mark, keep: int) -> tuple[Mark, ...]:
    """The marks with one more, in the order of their times; of each thing its latest counts.

    Only the latest `keep` are kept: whether there are so many within a time, they alone tell.
    """
    known = {each.of: each for each in marks}
    before = known.get(mark.of)
    if before is None or before.at < mark.at:
        known[mark.of] = mark
    ordered = sorted(known.values(), key=lambda each: (each.at, each.of))
    return tuple(ordered[-keep:])


def enough(marks: Sequence[Mark], at_least: int, within: timedelta) -> bool:
    """Whether so many things were counted within a time that ends with the latest of them."""
    if len(marks) < at_least:
        return False
    return marks[-1].at - marks[-at_least].at <= within


def lately(marks: Sequence[Mark], within: timedelta, at: datetime) -> frozenset[str]:
    """What was counted within a time before `at`."""
    return frozenset(each.of for each in marks if at - each.at <= within)
