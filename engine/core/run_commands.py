"""What the run machine can tell its worker to do, one thing at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from engine.core import events
from engine.core.plan import PlannedStep
from engine.core.playbook import Step


@dataclass(frozen=True, slots=True)
class Investigate:
    """Run this investigation step of the playbook (read only) and journal what it saw."""

    step: Step


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Render the playbook and journal the plan."""


@dataclass(frozen=True, slots=True)
class Read:
    """Run this planned read and journal what it saw, as precheck or as itself."""

    step: PlannedStep
    phase: events.StepPhase


@dataclass(frozen=True, slots=True)
class Attempt:
    """Make this attempt: intent, act, outcome."""

    step: PlannedStep
    number: int
    first: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """Look whether this attempt with an unknown outcome was done, and journal the answer."""

    step: PlannedStep
    attempt: events.AttemptIntended


@dataclass(frozen=True, slots=True)
class Record:
    """Journal this and ask again."""

    event: events.Event


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, or before somebody wakes the run."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has ended; nothing will follow."""


Command: TypeAlias = Investigate | MakePlan | Read | Attempt | Probe | Record | Wait | Ended
