"""How far a rule has earned trust: what its runs did, or would have done, judged afterwards.

It only reports. A rule is proposed for `auto` in one environment once so many runs were judged and
none was wrong that the truth is at least 90 % right by Wilson's lower bound (95 %), over a month.
https://www.itl.nist.gov/div898/handbook/prc/section2/prc241.htm
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from typing import Literal

from engine.core import events
from engine.core.incident import Incident
from engine.core.severity import Mode

Verdict = Literal["right", "wrong", "unjudged"]
Story = Sequence[tuple[events.Event, datetime, str]]

ENOUGH = 35
LONG_ENOUGH = timedelta(days=30)
# How long a playbook takes of which no run is known.
USUALLY_TAKES = timedelta(minutes=5)
RECURS_WITHIN = timedelta(days=1)
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a rule, or what would have been one, and what became of it."""

    incident: str
    rule_id: str
    environment: str
    mode: Mode
    at: datetime
    verdict: Verdict
    why: str
    outcome: str
    by_guard: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Standing:
    """All cases of one rule in one environment."""

    rule_id: str
    environment: str
    mode: Mode
    cases: int
    right: int
    wrong: int
    unjudged: int
    verified: int
    not_needed: int
    recurred: int
    since: datetime
    until: datetime
    guards: Mapping[str, int] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        """How many cases are right or wrong."""
        return self.right + self.wrong

    @property
    def at_least(self) -> float:
        """The share of right ones that there is at least, by Wilson's lower bound of 95 %."""
        n = self.judged
        if not n:
            return 0.0
        share = self.right / n
        middle = share + _Z * _Z / (2 * n)
        spread = _Z * sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
        return (middle - spread) / (1 + _Z * _Z / n)

    @property
    def lacks(self) -> str:
        """What is missing before it is proposed for `auto`, "" for nothing."""
        if self.mode is Mode.AUTO:
            return "it is auto already"
        lacks = []
        if self.wrong:
            lacks.append("one that was wrong" if self.wrong == 1 else f"{self.wrong} were wrong")
        if self.judged < ENOUGH:
            lacks.append(f"{self.judged} of {ENOUGH} judged")
        if self.until - self.since < LONG_ENOUGH:
            lacks.append(f"{(self.until - self.since).days} of {LONG_ENOUGH.days} days")
        return ", ".join(lacks)


def usual_durations(stories: Iterable[Story]) -> Mapping[str, timedelta]:
    """How long runs of each playbook take that changed something: the median."""
    took: dict[str, list[timedelta]] = {}
    for story in stories:
        began: dict[str, tuple[str, datetime]] = {}
        for event, at, _ in story:
            if isinstance(event, events.RunCreated):
                began[event.run_id] = event.playbook_id, at
            elif isinstance(event, events.RunEnded) and event.changed and event.run_id in began:
                playbook, since = began[event.run_id]
                took.setdefault(playbook, []).append(at - since)
    return {playbook: sorted(each)[len(each) // 2] for playbook, each in took.items()}


def case_of(
    incident: Incident,
    story: Story,
    usual: Mapping[str, timedelta],
    by_hand: Mapping[str, Sequence[datetime]],
) -> Case | None:
    """The incident's first run by its rule; None where there was none, or a person ordered it.

    `by_hand` are the times of runs that people ordered, by playbook and parameters.
    """
    created = next(((e, at) for e, at, _ in story if isinstance(e, events.RunCreated)), None)
    if created is None or incident.by_hand:
        return None
    run, at = created
    ended = next(
        (e for e, _, _ in story if isinstance(e, events.RunEnded) and e.run_id == run.run_id), None
    )
    order = order_of(run)
    marks = [(e, actor) for e, _, actor in story if isinstance(e, events.RunJudged)]
    if marks:
        mark, actor = marks[-1]
        verdict: Verdict = mark.verdict
        why = f"{actor}: {mark.reason}".rstrip(": ")
    elif run.mode == "observe":
        takes = usual.get(run.playbook_id, USUALLY_TAKES)
        verdict, why = _observed(incident, at, takes, by_hand.get(order, ()))
    else:
        verdict, why = _ran(story, ended)
    return Case(
        incident=incident.name,
        rule_id=incident.rule_id,
        environment=incident.environment,
        mode=Mode(run.mode),
        at=at,
        verdict=verdict,
        why=why,
        outcome=ended.outcome if ended else "",
        by_guard=ended.by_guard if ended else "",
        parameters=order,
    )


def order_of(run: events.RunCreated) -> str:
    """What tells two runs that do the same to the same from others."""
    return f"{run.playbook_id} {sorted((k, str(v)) for k, v in run.parameters.items())}"


def _observed(
    incident: Incident, at: datetime, takes: timedelta, by_hand: Sequence[datetime]
) -> tuple[Verdict, str]:
    """Of a rule that only observes: did people do the same, or did it clear by itself?"""
    over = incident.resolved_at
    if over is not None and over - at < takes:
        return "wrong", "it cleared by itself before the remedy would have ended"
    same = [each for each in by_hand if at <= each and (over is None or each <= over)]
    if same and min(same) - at >= takes:
        return "right", "a person did the same later"
    return "unjudged", "nobody said whether it would have been right"


def _ran(story: Story, ended: events.RunEnded | None) -> tuple[Verdict, str]:
    if ended is None:
        return "unjudged", "it has not ended"
    rejected = next(
        (
            f"rejected by {actor}: {e.reason}".rstrip(": ")
            for e, _, actor in story
            if isinstance(e, events.ApprovalDecided) and e.decision == "rejected"
        ),
        "",
    )
    if rejected:
        return "wrong", rejected
    if ended.by_guard:
        return "unjudged", f"stopped by guard {ended.by_guard}"
    match ended.outcome:
        case "succeeded":
            return "right", "verified"
        case "not_needed":
            return "wrong", "the precheck held: nothing was to be mended"
        case "failed" | "partial" | "unknown":
            return "wrong", ended.reason
        case "skipped" if not ended.changed:
            return "wrong", ended.reason
        case _:
            return "unjudged", ended.reason


def standings(cases: Iterable[Case], now: datetime) -> Sequence[Standing]:
    """By rule and environment, in their order; the mode is that of the latest case."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in sorted(cases, key=lambda each: each.at):
        groups.setdefault((case.rule_id, case.environment), []).append(case)
    return [_standing(found, now) for _, found in sorted(groups.items())]


def _standing(cases: Sequence[Case], now: datetime) -> Standing:
    verdicts = Counter(case.verdict for case in cases)
    before: dict[str, datetime] = {}
    recurred = 0
    for case in cases:
        known = before.get(case.parameters)
        recurred += known is not None and case.at - known <= RECURS_WITHIN
        before[case.parameters] = case.at
    return Standing(
        rule_id=cases[0].rule_id,
        environment=cases[0].environment,
        mode=cases[-1].mode,
        cases=len(cases),
        right=verdicts["right"],
        wrong=verdicts["wrong"],
        unjudged=verdicts["unjudged"],
        verified=sum(case.outcome == "succeeded" for case in cases),
        not_needed=sum(case.outcome == "not_needed" for case in cases),
        recurred=recurred,
        since=cases[0].at,
        until=now,
        guards=Counter(case.by_guard for case in cases if case.by_guard),
    )
