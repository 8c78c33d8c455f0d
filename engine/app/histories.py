"""Where the alerts of a replay come from: lines that `quell normalize` wrote, or a stream."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter

from msgspec import structs

from engine.app.backtest import backtest
from engine.app.configured import catalog_sources, checked_catalog, stream_of
from engine.core.alert import Alert
from engine.core.records import Tick, alert_of_json, decode_record
from engine.core.replayed import Closing, Replayed
from engine.core.rule_set import RuleSet
from engine.errors import ConfigError, PayloadError
from engine.ports.stream import ReadableStream
from engine.settings import LoadedSettings
from engine.store.directory import DataDirectory
from engine.store.embedded_stream import EmbeddedStream

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
    return structs.replace(alert, received_at=at, expires_at=expires_at)


@dataclass(frozen=True, slots=True)
class History:
    """Alerts in the order of their receipt, and what is known to be missing, a sentence each."""

    alerts: Sequence[Alert]
    missing: Sequence[str]


async def stream_history(
    loaded: LoadedSettings, begin: datetime | None, end: datetime | None
) -> History:
    """The alerts that the settings' stream keeps, received from `begin` on and before `end`.

    Beside a running engine too. Raises TransientError where the stream can't be reached, and
    ConfigError where there is none.
    """
    stream = stream_of(loaded)
    if isinstance(stream, EmbeddedStream):
        path = DataDirectory(loaded.settings.data).stream_path
        if not path.exists():
            raise ConfigError(
                f"there is no {str(path)!r}: name an engine's folder with --data, or Kafka in "
                "quell.yaml (stream.uses)"
            )
        # Another stream is read as nobody; this one has to be there first.
        await stream.open()
    try:
        return await _history(stream, begin, end)
    finally:
        await stream.close()


async def _history(stream: ReadableStream, begin: datetime | None, end: datetime | None) -> History:
    found: list[tuple[datetime, Alert]] = []
    missing: list[str] = []
    # The decision time of a partition never goes back.
    reached: dict[int, datetime] = {}
    unread = 0
    async for each in stream.history(begin):
        partition = each.record.partition
        try:
            value = decode_record(each.record.value)
        except PayloadError:
            unread += 1
            continue
        if isinstance(value, Tick):
            continue
        at = reached[partition] = max(reached.get(partition, value.received_at), value.received_at)
        if each.is_first and each.record.offset and (begin is None or at > begin):
            missing.append(
                f"partition {partition} keeps nothing from before {at:%Y-%m-%d %H:%M} UTC"
            )
        if (begin is None or at >= begin) and (end is None or at < end):
            found.append((at, value))
    if unread:
        missing.append(f"{unread} records are no alerts; they were dead letters")
    if begin is not None:
        missing.append("what fired before and didn't repeat since isn't known")
    found.sort(key=itemgetter(0))
    return History([alert for _, alert in found], missing)


def replay(
    loaded: LoadedSettings, alerts: Iterable[Alert], closing: Closing, *, alone: bool = False
) -> Replayed:
    """What the project's rules would have made of these alerts; `alone`: without those that ship.

    They come in the order of their receipt. Raises ConfigError for mistakes in the files.
    """
    catalog = checked_catalog(catalog_sources(loaded))
    if alone:
        own = RuleSet(each for each in catalog.rules if not each.file.startswith("shipped/"))
        catalog = replace(catalog, rules=own)
    return backtest(catalog, alerts, closing)
