"""Whether calls go wrong, and what quell is told about it: decisions without clock or network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.client.reporting.windows import SLOTS, Counts
from engine.errors import ConfigError

Verdict = Literal["over", "under", "too_few"]
Step = Literal["nothing", "begin", "repeat", "resolve", "lapse"]
Severity = Literal["critical", "error", "warning", "info"]

# These end a call because somebody wanted so.
NO_FAILURES = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit"})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When quell is told; all of them hold for each model, operation and deployment by itself.

    Calls count as failing from a share of `failing_share` on, and as slow when more than 5 % of
    those that succeeded took longer than `p95_latency_s` (0: never slow), both only over windows
    with `min_calls`. `log_records` of one logger and level in a window are told likewise. A notice
    is repeated every `repeat_s`, and the end told after `clear_for_s` below the threshold.
    `no_failures` are names of exceptions that say nothing against the model.
    """

    window_s: float = 120.0
    min_calls: int = 20
    failing_share: float = 0.2
    critical_share: float = 0.5
    p95_latency_s: float = 0.0
    log_records: int = 10
    repeat_s: float = 60.0
    clear_for_s: float = 60.0
    no_failures: frozenset[str] = NO_FAILURES

    def __post_init__(self) -> None:
        for name in ("min_calls", "failing_share", "log_records", "repeat_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it has to be above 0")
        for name in ("p95_latency_s", "clear_for_s"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it can't be below 0")
        if not self.failing_share <= 1:
            raise ConfigError(f"failing_share is {self.failing_share!r}; it is at most 1")
        if not self.window_s >= 1:
            raise ConfigError(f"window_s is {self.window_s!r}; a window takes 1 s or longer")

    @property
    def expires_after_s(self) -> float:
        """How long the last notice counts where no other follows: a lost one is bridged."""
        return 3 * max(self.repeat_s, self.every_s) + self.clear_for_s

    @property
    def every_s(self) -> float:
        """How often it is judged."""
        return self.window_s / SLOTS


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, twice: `monotonic_s` measures and never jumps, `wall` (UTC) is what is told."""

    monotonic_s: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """What quell is told: docs/schemas/notice-v1.json is its shape, `at` the event's time."""

    status: Literal["firing", "resolved"]
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    severity_hint: Severity
    at: datetime
    starts_at: datetime
    ends_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be wrong with what a window counted.

    `verdict` is also given how many calls it takes to say that it holds: while it is told as
    firing, one is evidence enough that it lasts.
    """

    name: str
    verdict: Callable[[Counts, Thresholds, int], Verdict]
    severity: Callable[[Counts, Thresholds], Severity]
    finding: Callable[[Counts, Thresholds], str]


class Alarm:
    """Whether one condition holds for one subject: `since` then, or None while nothing is told."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self._told_s = 0.0
        self._clear_s: float | None = None

    def advance(self, verdict: Verdict, now: Moment, thresholds: Thresholds) -> Step:
        """What follows from a verdict; `lapse`: too few calls for so long that quell closed it."""
        if verdict == "over":
            self._clear_s = None
            if self.since is not None and now.monotonic_s - self._told_s < thresholds.repeat_s:
                return "nothing"
            step: Step = "begin" if self.since is None else "repeat"
            self.since, self._told_s = self.since or now.wall, now.monotonic_s
            return step
        if self.since is None:
            return "nothing"
        if now.monotonic_s - self._told_s >= thresholds.expires_after_s:
            self.since = self._clear_s = None
            return "lapse"
        if verdict == "under":
            self._clear_s = now.monotonic_s if self._clear_s is None else self._clear_s
            if now.monotonic_s - self._clear_s >= thresholds.clear_for_s:
                self.since = self._clear_s = None
                return "resolve"
        return "nothing"


def _failing(counts: Counts, thresholds: Thresholds, needed: int) -> Verdict:
    if counts.calls >= needed and counts.failures >= thresholds.failing_share * counts.calls:
        return "over"
    return "under" if counts.calls >= thresholds.min_calls else "too_few"


def _slow(counts: Counts, thresholds: Thresholds, needed: int) -> Verdict:
    # The 95th of a hundred is over the threshold where more than five are.
    if thresholds.p95_latency_s and counts.timed >= needed and counts.slow * 20 > counts.timed:
        return "over"
    return "under" if counts.timed >= thresholds.min_calls else "too_few"


def _logged(counts: Counts, thresholds: Thresholds, needed: int) -> Verdict:
    # Nobody logging an error is no lack of evidence: it is what one waits for.
    return "over" if counts.calls >= thresholds.log_records else "under"


def _failing_severity(counts: Counts, thresholds: Thresholds) -> Severity:
    critical = counts.failures >= thresholds.critical_share * counts.calls
    return "critical" if critical else "error"


CALLS_FAILING = Condition(
    "ModelCallsFailing",
    _failing,
    _failing_severity,
    lambda counts, thresholds: (
        f"{counts.failures} of {counts.calls} calls failed in {thresholds.window_s:g} s"
    ),
)
CALLS_SLOW = Condition(
    "ModelCallsSlow",
    _slow,
    lambda counts, thresholds: "warning",
    lambda counts, thresholds: (
        f"{counts.slow} of {counts.timed} calls took over {thresholds.p95_latency_s:g} s"
        f" in {thresholds.window_s:g} s"
    ),
)
ERRORS_LOGGED = Condition(
    "ErrorsLogged",
    _logged,
    lambda counts, thresholds: "warning",
    lambda counts, thresholds: f"{counts.calls} records logged in {thresholds.window_s:g} s",
)
