"""What stands above rules and playbooks, as authors write it: policy.yaml (language 1)."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from engine.core.documents import Document, Duration, Expression, Id, Language, ModeName


class Ceiling(Document):
    """The most automation that policy allows where `when` holds or for an effect."""

    when: Expression | None = None
    effect: Literal["read", "change", "destroy"] | None = None
    mode: ModeName
    quorum: int = Field(default=1, ge=1)


class ChangeLimit(Document):
    """At most so many changes within a time."""

    per: Literal["service", "target", "playbook", "rule", "overall"] = "service"
    max: int = Field(ge=1)
    within: Duration


class Limits(Document):
    """Bounds over all playbooks."""

    fleet_unavailable: str | None = None
    changes: ChangeLimit | None = None


NO_LIMITS = Limits()


class StormBrake(Document):
    """When so much fires at once, auto becomes approve until a person lifts it."""

    fraction: str
    services: int = Field(ge=1)
    within: Duration


class TimeDocument(Document):
    """From a time of the day until before another: 09:00, at most 24:00."""

    start_time: str
    end_time: str


class IntervalDocument(Document):
    """Recurring times, in Alertmanager's words; what is absent holds always."""

    times: tuple[TimeDocument, ...] = ()
    weekdays: tuple[str, ...] = ()
    days_of_month: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    years: tuple[str, ...] = ()


class CalendarDocument(Document):
    """Any of these intervals, in one zone's time."""

    location: str = "UTC"
    intervals: tuple[IntervalDocument, ...]


class SilenceDocument(Document):
    """While the calendar holds, alerts that match wait."""

    id: Id
    calendar: str
    matchers: tuple[str, ...] = Field(min_length=1)
    why: str = Field(min_length=1)


class Freeze(Document):
    """While the calendar holds, changes of what `when` names wait, are left out, or are asked."""

    id: Id
    calendar: str
    when: Expression | None = None
    policy: Literal["defer", "skip", "ask"]
    why: str = Field(min_length=1)


class PolicyDocument(Document):
    """policy.yaml: above all rules and playbooks."""

    language: Language
    ceilings: tuple[Ceiling, ...] = ()
    require_for_auto: tuple[
        Literal["verify", "precheck", "lock", "budget", "blast_radius", "source_confirms"], ...
    ] = ()
    limits: Limits = Limits()
    storm_brake: StormBrake | None = None
    second_person_for: tuple[ModeName, ...] = ()
    calendars: Mapping[Id, CalendarDocument] = {}
    silences: tuple[SilenceDocument, ...] = ()
    freezes: tuple[Freeze, ...] = ()
