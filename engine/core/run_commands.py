"""What the run machine can tell its worker to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from engine.core import events
from engine.core.plan import Place, PlannedStep
from engine.core.playbook import Step
from engine.core.run import RunState

# What tells commands apart: the phase and the step that they are for.
CommandKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Investigate:
    """Run this investigation step of the playbook (read only) and journal what it saw."""

    step: Step
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Render the playbook and journal the plan."""


@dataclass(frozen=True, slots=True)
class Read:
    """Run this planned read and journal what it saw, as precheck or as itself."""

    step: PlannedStep
    phase: events.StepPhase

    @property
    def key(self) -> CommandKey:
        """What it is done once at a time by."""
        return self.phase, self.step.id


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask whether it still fires, and journal the answer."""

    @property
    def key(self) -> CommandKey:
        """What it is done once at a time by."""
        return "confirm", ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Make this attempt: intent, act, outcome."""

    step: PlannedStep
    number: int

    @property
    def key(self) -> CommandKey:
        """What it is done once at a time by."""
        return self.step.phase, self.step.id

    @property
    def looks_before(self) -> bool:
        """Whether the state before has to be read: only a probe compares with it."""
        return self.step.repeat == "probe"


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
class Busy:
    """Nothing here before what this worker has under way is over."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has ended; nothing will follow."""


# What can be done beside others of its kind, and takes its time.
Lasting: TypeAlias = Read | Confirm | Attempt
Command: TypeAlias = Investigate | MakePlan | Lasting | Probe | Record | Wait | Busy | Ended


def at_once(found: Sequence[Command]) -> tuple[Command, ...]:
    """What lanes need, as what is to be done: each thing once.

    What is journaled comes alone and first, because it takes no time; and of what only lets time
    pass, what is over first.
    """
    record = next((each for each in found if isinstance(each, Record)), None)
    if record is not None:
        return (record,)
    waits = [each for each in found if isinstance(each, Wait)]
    once = {each.key: each for each in found if isinstance(each, Lasting)}
    busy = [each for each in found if isinstance(each, Busy)][:1]
    soonest = sorted(waits, key=lambda each: each.until)[:1]
    return (*once.values(), *busy, *soonest)


@dataclass(frozen=True, slots=True)
class Undone:
    """What the rollback came to: the changes that it undid, those that stay, and what failed.

    `kept` are changes without a rollback that were surely made; `left` are all that may stay.
    """

    undone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def outcome(self) -> events.Rollback:
        """In one word."""
        if not self.left:
            return "done" if self.undone else ""
        return "partial" if self.undone else "none"

    @property
    def words(self) -> str:
        """For people, behind the reason of the end; "" where nothing had to be undone."""
        told = (
            ("rolled back", self.undone),
            ("rollback failed", self.failed),
            ("what stays as it is", self.kept),
        )
        return "".join(f"; {what}: {', '.join(names)}" for what, names in told if names)


NOTHING_UNDONE = Undone()


def end(
    state: RunState,
    outcome: events.RunOutcome,
    reason: str,
    *,
    by_guard: str = "",
    keeps_locks: bool = False,
    undone: Undone = NOTHING_UNDONE,
) -> Record:
    """The last entry of the run."""
    return Record(
        events.RunEnded(
            run_id=state.run_id,
            outcome=outcome,
            reason=reason,
            changed=state.began,
            by_guard=by_guard,
            keeps_locks=keeps_locks,
            rollback=undone.outcome,
            left=undone.left,
        )
    )
