"""What is promised of an incident: how soon somebody has seen, mitigated and resolved it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from engine.core.documents import SeverityName
from engine.core.incident import Incident
from engine.core.retention import Span
from engine.core.severity import Severity

ClockName = Literal["acknowledge", "mitigate", "resolve"]
CLOCKS: tuple[ClockName, ...] = ("acknowledge", "mitigate", "resolve")


class SlaSection(BaseModel):
    """The promises of one severity in the section `sla` of quell.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    acknowledge: Span | None = None
    mitigate: Span | None = None
    resolve: Span | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_its_clocks(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f"say of what: {{mitigate: {value}}}, or acknowledge, or resolve")
        return value


USUAL: Mapping[SeverityName, SlaSection] = {
    "P1": SlaSection(
        acknowledge=timedelta(minutes=5), mitigate=timedelta(minutes=15), resolve=timedelta(hours=4)
    ),
    "P2": SlaSection(
        acknowledge=timedelta(minutes=15), mitigate=timedelta(hours=1), resolve=timedelta(hours=8)
    ),
}


@dataclass(frozen=True, slots=True)
class Sla:
    """The promises of each severity; a clock that is absent is no promise."""

    within: Mapping[Severity, Mapping[ClockName, timedelta]]

    @staticmethod
    def of(sections: Mapping[SeverityName, SlaSection]) -> "Sla":
        """As quell.yaml has it."""
        spans: dict[Severity, dict[ClockName, timedelta]] = {}
        for severity, section in sections.items():
            found = {name: getattr(section, name) for name in CLOCKS}
            spans[Severity[severity]] = {name: each for name, each in found.items() if each}
        return Sla(spans)


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise of one incident; `met_at` is None while it runs."""

    name: ClockName
    within: timedelta
    due_at: datetime
    met_at: datetime | None

    def is_missed(self, now: datetime) -> bool:
        """Whether it ran out before it was met, or has by now."""
        return (self.met_at or now) > self.due_at


def clocks_of(incident: Incident, sla: Sla) -> tuple[Clock, ...]:
    """The clocks of its severity, all from when it was opened; what clears by itself meets all."""
    promised = sla.within.get(incident.severity, {})
    done: Mapping[ClockName, datetime | None] = {
        "acknowledge": incident.acknowledged_at,
        "mitigate": incident.mitigated_at,
        "resolve": None,
    }
    return tuple(
        Clock(
            name,
            promised[name],
            incident.opened_at + promised[name],
            min(
                (each for each in (done[name], incident.resolved_at) if each is not None),
                default=None,
            ),
        )
        for name in CLOCKS
        if name in promised
    )
