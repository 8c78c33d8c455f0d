"""Where the alerts of a replay come from: lines that `quell normalize` wrote, or a stream."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from engine.app.backtest import backtest
from engine.app.configured import catalog_sources, checked_catalog
from engine.core.alert import Alert
from engine.core.records import alert_of_json
from engine.core.replayed import Closing, Replayed
from engine.errors import PayloadError
from engine.settings import LoadedSettings

# A file of another kind has a problem a line.
PROBLEMS_TOLD = 20


@dataclass(slots=True)
class AlertLines:
    """Alerts of lines, each as `quell normalize` writes it; lines that aren't are counted."""

    lines: Iterable[bytes]
    problems: list[str] = field(default_factory=list)
    unread: int = 0

    def __iter__(self) -> Iterator[Alert]:
        for number, line in enumerate(self.lines, 1):
            try:
                yield alert_of_json(line)
            except PayloadError as error:
                if line.strip():
                    self._note(number, error)

    def _note(self, number: int, error: PayloadError) -> None:
        self.unread += 1
        if self.unread <= PROBLEMS_TOLD:
            self.problems.append(
                f"line {number}: {error}; a line is one alert as `quell normalize` prints it"
            )


def at_source_times(alerts: Iterable[Alert]) -> Sequence[Alert]:
    """The alerts as if each had come when its source says that it happened, in that order."""
    return sorted(map(_at_source_time, alerts), key=lambda alert: alert.received_at)


def _at_source_time(alert: Alert) -> Alert:
    told = alert.ends_at if alert.status == "resolved" else alert.starts_at
    at = alert.event_at or told or alert.received_at
    expires_at = alert.expires_at
    if expires_at is not None:
        expires_at += at - alert.received_at
    return replace(alert, received_at=at, expires_at=expires_at)


def replay(loaded: LoadedSettings, alerts: Iterable[Alert], closing: Closing) -> Replayed:
    """What the project's rules would have made of these alerts.

    They come in the order of their receipt. Raises ConfigError for mistakes in the files.
    """
    return backtest(checked_catalog(catalog_sources(loaded)), alerts, closing)


def between(
    alerts: Iterable[Alert], begin: datetime | None, end: datetime | None
) -> Iterator[Alert]:
    """Those received from `begin` on and before `end`; None: without that bound."""
    for alert in alerts:
        at = alert.received_at
        if (begin is None or at >= begin) and (end is None or at < end):
            yield alert
