"""What authors write, as models: rules (language 1).

Expressions, durations and matchers are texts here; the catalog compiles them and reports every
mistake with its line and column.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from engine.core.documents import (
    Document,
    Duration,
    Expression,
    Id,
    Language,
    ModeName,
    SeverityName,
)


class SeverityCase(Document):
    """One case of `severity`; the last has no `when`."""

    when: Expression | None = None
    is_: SeverityName = Field(alias="is")


class ModeCase(Document):
    """One case of `mode`; the last has no `when`."""

    when: Expression | None = None
    is_: ModeName = Field(alias="is")


class Inhibition(Document):
    """While an alert that matches fires, with equal labels, the rule's alert waits."""

    matchers: tuple[str, ...] = Field(min_length=1)
    equal: tuple[str, ...] = ()


class Window(Document):
    """At least so many within a time; with `distinct`, as many values of that label."""

    at_least: int = Field(ge=2, le=1000)
    of: Literal["occurrences", "alerts"] = "occurrences"
    distinct: str = ""
    within: Duration


# So many alerts may have to come together; what is kept of a group is bounded by it.
MAX_PARTS = 10


class AllOf(Document):
    """One alert of each of these matchers, at most so far apart; one that fires counts as now."""

    alerts: tuple[tuple[str, ...], ...] = Field(min_length=2, max_length=MAX_PARTS)
    within: Duration


class Absence(Document):
    """The rule's alerts are a heartbeat: it acts once none has come for so long.

    `expect_from_start`: also when none has ever come.
    """

    for_: Duration = Field(alias="for")
    expect_from_start: bool = False


class Flapping(Document):
    """What began so often within a time isn't over before nothing has fired for `stable_for`."""

    at_least: int = Field(ge=2, le=1000)
    within: Duration
    stable_for: Duration


class Growth(Document):
    """An incident gets this severity once so many of its alerts fire, or after so long."""

    firing: int | None = Field(default=None, ge=2)
    after: Duration | None = None
    is_: SeverityName = Field(alias="is")


class RuleDefaults(Document):
    """What every rule of a file has unless it says otherwise."""

    notify: tuple[str, ...] = ("team",)
    postmortem: tuple[SeverityName, ...] = ("P1", "P2")


class RuleDocument(Document):
    """One rule: matchers and conditions over alerts; severity, grouping, playbook, mode."""

    id: Id
    description: str = Field(min_length=1)
    matchers: tuple[str, ...] = ()
    when: Expression | None = None
    inhibited_by: Inhibition | None = None
    for_: Duration | None = Field(default=None, alias="for")
    window: Window | None = None
    all_of: AllOf | None = None
    absent: Absence | None = None
    flapping: Flapping | None = None
    absorbs: Literal["dependants"] | None = None
    absorbed_by: Literal["dependencies"] | None = None
    continue_: bool = Field(default=False, alias="continue")
    severity: SeverityName | tuple[SeverityCase, ...]
    escalate: tuple[Growth, ...] = ()
    group_by: tuple[str, ...] = ("service",)
    mode: ModeName | tuple[ModeCase, ...] = "approve"
    playbook: Id | None = None
    with_: Mapping[str, JsonValue] = Field(default={}, alias="with")
    notify: tuple[str, ...] | None = None
    postmortem: tuple[SeverityName, ...] | None = None


class RulesDocument(Document):
    """A file under rules/."""

    language: Language
    defaults: RuleDefaults = RuleDefaults()
    rules: tuple[RuleDocument, ...]


class RuleOverlay(Document):
    """What quell.yaml may change of a rule by its id."""

    mode: ModeName | None = None
    severity: SeverityName | None = None
    playbook: Id | None = None
    with_: Mapping[str, JsonValue] | None = Field(default=None, alias="with")
    enabled: bool = True
