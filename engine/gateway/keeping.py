"""What a body says, kept durably: alerts in the stream, the rest as dead letters.

The same for a body that was sent and for one that a source fetched itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

import structlog
from typing_extensions import override

from engine.core.alert import Alert
from engine.core.json_value import Json
from engine.errors import NotFoundError, PayloadError, PermanentError
from engine.gateway.body import Refused, gunzip
from engine.ports import strict_json
from engine.ports.clock import Clock
from engine.ports.commands import Intake
from engine.ports.metrics import Metrics
from engine.ports.source import NOBODY, Parsed, Rejected, Sender, Source, Taker

# Below it and a source's own bound, parsing takes at most some 10 ms (an alert is three objects, or
# two), and a hand-over to a thread costs processor time of its own: the interpreter's lock goes to
# and fro meanwhile.
PARSE_INLINE_OBJECTS = 500
# Parsing holds the interpreter most of the time, so more at once would only take more memory.
PARSING_AT_ONCE = 2
# More than a full body of usual alerts holds; small ones would become gigabytes of objects.
MAX_ALERTS = 50_000
# No JSON begins so.
GZIP_MAGIC = b"\x1f\x8b"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Understood:
    """What a body says, and the status to answer if nothing in it is an alert."""

    raw: bytes
    parsed: Parsed
    status_if_none: int

    @property
    def status(self) -> int:
        """To answer once it is kept."""
        some = self.parsed.alerts or not self.parsed.rejected
        return HTTPStatus.OK if some else self.status_if_none


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of a body: all of its alerts, and an id for each part that is none."""

    understood: Understood
    dead_letters: Sequence[str]


class Keeper(Taker):
    """Understands bodies and keeps what they say."""

    def __init__(self, intake: Intake, clock: Clock, metrics: Metrics) -> None:
        self._intake = intake
        self._clock = clock
        self._metrics = metrics
        self._parsing = asyncio.Semaphore(PARSING_AT_ONCE)

    async def understand(
        self, source: Source, body: bytes, sender: Sender, *, is_gzip: bool
    ) -> Understood | Refused:
        """What the body says, by a thread where that takes long."""
        received_at = self._clock.now()
        if (
            not is_gzip
            and len(body) <= source.inline_bytes
            and body.count(b"{") <= PARSE_INLINE_OBJECTS
        ):
            return understand(source, body, received_at, sender, is_gzip=False)
        async with self._parsing:
            return await asyncio.to_thread(
                understand, source, body, received_at, sender, is_gzip=is_gzip
            )

    async def keep_understood(self, source: Source, understood: Understood) -> Kept:
        """Returns once all of it is durable. Raises TransientError: it has to come again."""
        parsed = understood.parsed
        ids: Sequence[str] = ()
        # Alerts first: they go into the stream even while the dead letters can't be written,
        # and come again as repeats when the sender is told 503 for that.
        if parsed.alerts or not parsed.rejected:
            await self._intake.accept(source.name, parsed.alerts, parsed.truncated)
        if parsed.rejected:
            ids = await self._bury(source, parsed.rejected)
        self._count(source, parsed)
        if parsed.unfinished is None:
            return Kept(understood, ids)
        try:
            more = await source.finish(parsed, self._clock.now())
        except PermanentError as error:
            failed = Parsed((), (Rejected(-1, "", str(error), understood.raw),))
            ids = await self._bury(source, failed.rejected)
            self._count(source, failed)
            return Kept(replace(understood, parsed=failed), ids)
        if more:
            await self.keep(source, more)
        return Kept(understood, ids)

    @override
    async def take(self, source: Source, body: bytes) -> None:
        code: int = HTTPStatus.SERVICE_UNAVAILABLE
        try:
            understood = await self.understand(source, body, NOBODY, is_gzip=False)
            if isinstance(understood, Refused):
                too_much = Rejected(-1, "", understood.detail, body)
                understood = Understood(body, Parsed((), (too_much,)), understood.status)
            await self.keep_understood(source, understood)
            code = understood.status
        finally:
            self._metrics.intake_requests.labels(source.name, code).inc()

    @override
    async def keep(self, source: Source, alerts: Sequence[Alert]) -> None:
        await self._intake.accept(source.name, alerts, 0)
        self._count(source, Parsed(alerts))

    async def _bury(self, source: Source, rejected: Sequence[Rejected]) -> Sequence[str]:
        kept = [replace(part, raw=source.keepable(part.raw)) for part in rejected]
        return await self._intake.dead_letter(source.name, kept)

    def _count(self, source: Source, parsed: Parsed) -> None:
        metrics = self._metrics
        firing = sum(alert.status == "firing" for alert in parsed.alerts)
        metrics.alerts_received.labels(source.name, "firing").inc(firing)
        metrics.alerts_received.labels(source.name, "resolved").inc(len(parsed.alerts) - firing)
        metrics.alerts_rejected.labels(source.name).inc(len(parsed.rejected))
        metrics.dead_letters.labels(source.name).inc(len(parsed.rejected))
        if parsed.rejected:
            first = parsed.rejected[0]
            log.warning(
                "alerts_rejected",
                source=source.name,
                rejected=len(parsed.rejected),
                field=first.field,
                problem=first.problem,
            )
        metrics.alerts_truncated.labels(source.name).inc(parsed.truncated)


def understand(
    source: Source, raw: bytes, received_at: datetime, sender: Sender = NOBODY, *, is_gzip: bool
) -> Understood | Refused:
    """Decompress, decode and parse; synchronous, because large bodies do it in a thread.

    A body that can't be understood is itself the one rejected part, so that it is kept.
    """
    try:
        body = gunzip(raw, source.max_body_bytes) if is_gzip else raw
        if isinstance(body, Refused):
            return body
        value = strict_json.decode(body)
    except PayloadError as error:
        return nothing_in(raw, error, HTTPStatus.BAD_REQUEST)
    if (alerts := _longest_list(value)) > MAX_ALERTS:
        return Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {alerts} alerts, at most {MAX_ALERTS}; send them in several bodies",
        )
    try:
        parsed = source.parse(value, received_at, sender)
    except PayloadError as error:
        return nothing_in(raw, error, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Exception as error:  # a body that finds a gap in a connector is kept, too
        log.exception("parse_failed", source=source.name)
        gap = PayloadError(f"quell could not read this ({type(error).__name__}), and kept it")
        return nothing_in(raw, gap, HTTPStatus.UNPROCESSABLE_ENTITY)
    return Understood(raw, parsed, HTTPStatus.UNPROCESSABLE_ENTITY)


def parse_again(
    sources: Mapping[str, Sequence[Source]], name: str, raw: bytes, received_at: datetime
) -> Parsed:
    """What a kept body holds by its source's parser of today.

    Raises NotFoundError when there is no such source any more.
    """
    source = _named(sources, name)
    understood = understand(source, raw, received_at, is_gzip=raw.startswith(GZIP_MAGIC))
    if isinstance(understood, Refused):
        raise PayloadError(understood.detail)
    return understood.parsed


async def finish_again(
    sources: Mapping[str, Sequence[Source]], clock: Clock, name: str, parsed: Parsed
) -> Sequence[Alert]:
    """Do what is left to do of a kept body, and the alerts that came of it; see Source.finish.

    Raises NotFoundError when there is no such source any more.
    """
    if parsed.unfinished is None:
        return ()
    return await _named(sources, name).finish(parsed, clock.now())


def _named(sources: Mapping[str, Sequence[Source]], name: str) -> Source:
    source = next((each for each in sources.get(name, ()) if each.name == name), None)
    if source is None:
        raise NotFoundError(f"there is no source {name!r} any more; name it in quell.yaml again")
    return source


def _longest_list(value: Json) -> int:
    """Every source's body is a list of alerts, or an object with one."""
    lists = value.values() if isinstance(value, dict) else [value]
    return max((len(each) for each in lists if isinstance(each, list)), default=0)


def nothing_in(raw: bytes, error: PayloadError, status: int) -> Understood:
    """A body that can't be understood, which is its only part; `status` to answer once kept."""
    return Understood(raw, Parsed((), (Rejected(-1, error.field, error.problem, raw),)), status)
