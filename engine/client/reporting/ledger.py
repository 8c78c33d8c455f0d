"""What each model's calls did lately, and the notices that follow from it: bounded, in memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from engine.client.reporting.judging import (
    CALLS_FAILING,
    CALLS_SLOW,
    ERRORS_LOGGED,
    Alarm,
    Condition,
    Moment,
    Notice,
    Thresholds,
)
from engine.client.reporting.windows import Counts, Window

# What is told apart; what comes beyond is counted together. An application calls a handful of
# models, so more are a name that changes with each call.
MAX_SUBJECTS = 100
OTHER = "(other)"
MAX_TEXT = 200
_MAX_ERRORS_TOLD = 5

# What is counted together, by label: one model's calls, or one logger's records of one level.
Subject = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Watched:
    window: Window
    alarms: Mapping[Condition, Alarm]


class Ledger:
    """Calls in, notices out. Not thread-safe."""

    def __init__(self, labels: Mapping[str, str], thresholds: Thresholds) -> None:
        """`labels` are those of every notice; what a call is about is added to them."""
        self._labels = {clean(name): clean(value) for name, value in labels.items()}
        self._thresholds = thresholds
        self._watched: dict[Subject, _Watched] = {}
        self._last_at = datetime.min.replace(tzinfo=UTC)

    def add_call(
        self, about: Mapping[str, str], at_s: float, *, error: str, latency_s: float | None
    ) -> None:
        """A call of the model, operation and deployment that `about` names."""
        if error not in self._thresholds.no_failures:
            window = self._window(about, (CALLS_FAILING, CALLS_SLOW))
            window.add(at_s, error=clean(error), latency_s=latency_s)

    def add_record(self, about: Mapping[str, str], at_s: float, *, error: str) -> None:
        """A log record of the logger and level that `about` names, and its exception's class."""
        self._window(about, (ERRORS_LOGGED,)).add(at_s, error=clean(error))

    def notices(self, now: Moment) -> Iterator[Notice]:
        """What quell is to be told now; what is idle is forgotten."""
        # Notices are ordered by their time, also where somebody sets the machine's clock back.
        at = max(now.wall, self._last_at + timedelta(microseconds=1))
        self._last_at = at
        for subject, watched in list(self._watched.items()):
            counts = watched.window.counts(now.monotonic_s)
            for condition, alarm in watched.alarms.items():
                since = alarm.since or at
                needed = 1 if alarm.since else self._thresholds.min_calls
                verdict = condition.verdict(counts, self._thresholds, needed)
                match alarm.advance(verdict, Moment(now.monotonic_s, at), self._thresholds):
                    case "begin" | "repeat":
                        yield self._firing(condition, subject, counts, since, at)
                    case "resolve":
                        yield replace(
                            self._firing(condition, subject, counts, since, at),
                            status="resolved",
                            ends_at=at,
                            expires_at=None,
                        )
                    case "nothing" | "lapse":
                        pass
            if not counts.calls and not any(alarm.since for alarm in watched.alarms.values()):
                del self._watched[subject]

    def _window(self, about: Mapping[str, str], conditions: Sequence[Condition]) -> Window:
        subject = tuple((name, clean(value)) for name, value in about.items() if value)
        if subject not in self._watched:
            if len(self._watched) >= MAX_SUBJECTS:
                subject = tuple((name, OTHER) for name, _ in subject[:1])
            self._watched.setdefault(
                subject,
                _Watched(
                    Window(self._thresholds.window_s, self._thresholds.p95_latency_s),
                    {condition: Alarm() for condition in conditions},
                ),
            )
        return self._watched[subject].window

    def _firing(
        self, condition: Condition, subject: Subject, counts: Counts, since: datetime, at: datetime
    ) -> Notice:
        finding = condition.finding(counts, self._thresholds)
        return Notice(
            status="firing",
            name=condition.name,
            labels=self._labels | dict(subject),
            annotations={"summary": f"{_spoken(subject)}: {finding}"} | _figures(counts),
            severity_hint=condition.severity(counts, self._thresholds),
            at=at,
            starts_at=since,
            expires_at=at + timedelta(seconds=self._thresholds.expires_after_s),
        )


def clean(text: str) -> str:
    """At most MAX_TEXT characters, and none that isn't to be shown, such as a line feed."""
    shown = text[:MAX_TEXT]
    if shown.isprintable():
        return shown
    return "".join(each if each.isprintable() else "\ufffd" for each in shown)


def _spoken(subject: Subject) -> str:
    return ", ".join(value for _, value in subject)


def _figures(counts: Counts) -> dict[str, str]:
    """What was counted, by annotation; only what there is."""
    errors = Counter(counts.errors).most_common(_MAX_ERRORS_TOLD)
    figures = {
        "calls": str(counts.calls),
        "failures": str(counts.failures),
        "p95_latency_s": f"{counts.p95_latency_s:.2f}" if counts.timed else "",
        "errors": ", ".join(f"{name} {count}" for name, count in errors),
    }
    return {name: value for name, value in figures.items() if value}
