"""Alerts that a run itself causes: those of its targets wait until it is over, and some time."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from engine.core.compiling import compile_duration
from engine.core.documents import ExpectedAlerts
from engine.core.durations import parse_duration
from engine.core.journal import ENGINE
from engine.core.mistakes import Mistakes
from engine.core.plan import Plan
from engine.core.silences import OF_RUN, Silence, compile_silencing, silence_id

# Whoever restarts a host doesn't want to hear of it for longer.
LONGEST_AFTER = timedelta(hours=1)
# Of a plan without a deadline; the end of its run is what ends it.
LONGEST_RUN = timedelta(days=1)


def check_expected(expected: ExpectedAlerts, mistakes: Mistakes) -> None:
    """Check its matchers, and how long it lasts; `after: 0s` ends with the run."""
    compile_silencing(expected.matchers, mistakes.at("matchers"))
    here = mistakes.at("after")
    if compile_duration(expected.after, here, may_be_none=True) > LONGEST_AFTER:
        here.add(f"{expected.after} is too long; 1h is the most")


def expected_silences(plan: Plan, incident: str, now: datetime) -> Iterator[Silence]:
    """What the run of this plan expects while it works, each until its last moment.

    `incident` is what people call the run's incident. A run that changes no target which the
    inventory knows expects nothing: an alert of nobody's target may be of any.
    """
    targets = tuple(filter(None, plan.changed_targets))
    if not targets:
        return
    longest = timedelta(seconds=plan.deadline_s) if plan.deadline_s else LONGEST_RUN
    for number, expected in enumerate(expected_of(plan)):
        origin = f"{OF_RUN}{plan.run_id}/{number}"
        yield Silence(
            id=silence_id(ENGINE, expected.matchers, now, origin),
            matchers=expected.matchers,
            starts_at=now,
            ends_at=now + longest + parse_duration(expected.after),
            actor=ENGINE,
            comment=f"{plan.playbook_id} of {incident} expects it of what it changes",
            origin=origin,
            targets=targets,
        )


def no_longer_expected(silence: Silence, plan: Plan, now: datetime) -> Silence:
    """The same of a run that has ended: what trails behind waits for some time more."""
    number = int(silence.origin.rpartition("/")[2])
    after = parse_duration([*expected_of(plan)][number].after)
    return replace(silence, ends_at=min(silence.ends_at, now + after))


def expected_of(plan: Plan) -> Iterable[ExpectedAlerts]:
    """What the guards of a plan, and of what it calls, expect; each once."""
    guards = (plan.guards, *(called.guards for called in plan.called))
    found = (each["expected_alerts"] for each in guards if "expected_alerts" in each)
    return dict.fromkeys(map(ExpectedAlerts.model_validate, found))
