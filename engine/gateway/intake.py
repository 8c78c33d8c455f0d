"""Alerts in: authenticate, cap, read, parse, append durably, and only then answer.

The answers decide whether an alert survives a bad moment: Alertmanager drops what was answered
with 4xx, Azure gives up on 500, SNS takes any 4xx as delivered. So a temporary fault is always
503, and what can't be understood is kept as a dead letter before anything is answered.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import structlog
from starlette.responses import Response

from engine.core.json_value import Json
from engine.errors import FullError, NotFoundError, PayloadError, TransientError
from engine.gateway import strict_json
from engine.gateway.body import BodyReader, Incoming, Refused, gunzip
from engine.gateway.parts import GatewayParts
from engine.gateway.problems import json_answer, problem, unauthorised, unavailable
from engine.ports.source import Parsed, Rejected, Source

# Below it, parsing takes about a millisecond and a thread's hand-over would cost as much.
PARSE_INLINE_BYTES = 64 * 1024
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

    parsed: Parsed
    status_if_none: int


class AlertIntake:
    """Answers `POST /v1/alerts/{source}` and Alertmanager's `POST /api/v2/alerts`."""

    def __init__(self, parts: GatewayParts, bodies: BodyReader) -> None:
        self._parts = parts
        self._bodies = bodies
        self._parsing = asyncio.Semaphore(PARSING_AT_ONCE)

    async def respond(
        self,
        address: str,
        headers: Mapping[str, str],
        incoming: Incoming,
        *,
        form: str,
        open_: bool,
    ) -> Response:
        """The answer for a body sent to a source's kind or name; `open_` asks no credentials."""
        candidates = self._parts.sources.get(address, ())
        if not candidates:
            return problem(
                HTTPStatus.NOT_FOUND,
                f"no source {address[:80]!r}; /v1/alerts/ is followed by a source's kind or name",
            )
        metrics = self._parts.metrics
        source = choose_source(candidates, headers, open_=open_)
        if source is None:
            offered = headers.get("authorization", "").partition(" ")[0][:20]
            log.warning("intake_denied", address=address, offered=offered or "no credentials")
            metrics.intake_requests.labels(address, int(HTTPStatus.UNAUTHORIZED)).inc()
            return unauthorised()
        with metrics.intake_seconds.labels(source.name).time():
            response = await self._take(source, headers, incoming, form)
        metrics.intake_requests.labels(source.name, response.status_code).inc()
        return response

    async def _take(
        self, source: Source, headers: Mapping[str, str], incoming: Incoming, form: str
    ) -> Response:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            detail = f"content-encoding {encoding[:40]!r} is not understood; send gzip or none"
            return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
        is_gzip = encoding != "identity"
        async with self._bodies.read(incoming, headers, source.max_body_bytes) as body:
            if isinstance(body, Refused):
                return self._refusal(source, body)
            received_at = self._parts.clock.now()
            if is_gzip or len(body) > PARSE_INLINE_BYTES:
                async with self._parsing:
                    understood = await asyncio.to_thread(
                        understand, source, body, received_at, form=form, is_gzip=is_gzip
                    )
            else:
                understood = understand(source, body, received_at, form=form, is_gzip=False)
        if isinstance(understood, Refused):
            return self._refusal(source, understood)
        return await self._keep(source, understood)

    def _refusal(self, source: Source, refused: Refused) -> Response:
        log.warning("intake_refused", source=source.name, status=refused.status, why=refused.detail)
        if refused.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return unavailable(refused.detail, self._parts.limits.retry_after_s)
        return problem(refused.status, refused.detail)

    async def _keep(self, source: Source, understood: Understood) -> Response:
        parsed, intake = understood.parsed, self._parts.intake
        ids: Sequence[str] = ()
        try:
            # Alerts first: they go into the stream even while the dead letters can't be written,
            # and come again as repeats when the sender is told 503 for that.
            if parsed.alerts or not parsed.rejected:
                await intake.accept(source.name, parsed.alerts, parsed.truncated)
            if parsed.rejected:
                ids = await intake.dead_letter(source.name, parsed.rejected)
        except FullError as error:
            self._parts.metrics.intake_full.labels(source.name).inc()
            log.error("intake_full", source=source.name, why=str(error))
            return unavailable(str(error), error.retry_after_s or self._parts.limits.retry_after_s)
        except TransientError as error:
            log.warning("intake_unavailable", source=source.name, why=str(error))
            after = error.retry_after_s or self._parts.limits.retry_after_s
            return unavailable("Alerts can't be kept at the moment; send them again.", after)
        except Exception:  # whatever it was, a sender that is told 503 keeps its alerts
            log.exception("intake_failed", source=source.name)
            detail = "Alerts can't be kept at the moment; send them again."
            return unavailable(detail, self._parts.limits.retry_after_s)
        self._count(source, parsed)
        return _verdict(understood, ids)

    def _count(self, source: Source, parsed: Parsed) -> None:
        metrics = self._parts.metrics
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


def choose_source(
    candidates: Sequence[Source], headers: Mapping[str, str], *, open_: bool
) -> Source | None:
    """The source whose credentials were sent; where none are asked for, else the first.

    All are asked, so that the time doesn't tell which one it was.
    """
    found = [source for source in candidates if source.authenticated(headers)]
    if found:
        return found[0]
    return candidates[0] if open_ else None


def understand(
    source: Source, raw: bytes, received_at: datetime, *, form: str, is_gzip: bool
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
        return _nothing(raw, error, HTTPStatus.BAD_REQUEST)
    if (alerts := _longest_list(value)) > MAX_ALERTS:
        return Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {alerts} alerts, at most {MAX_ALERTS}; send them in several bodies",
        )
    return _parse(source, raw, value, received_at, form)


def _longest_list(value: Json) -> int:
    """Every source's body is a list of alerts, or an object with one."""
    lists = value.values() if isinstance(value, dict) else [value]
    return max((len(each) for each in lists if isinstance(each, list)), default=0)


def parse_again(
    sources: Mapping[str, Sequence[Source]], name: str, raw: bytes, received_at: datetime
) -> Parsed:
    """What a kept body holds by its source's parser of today.

    Raises NotFoundError when there is no such source any more.
    """
    source = next((each for each in sources.get(name, ()) if each.name == name), None)
    if source is None:
        raise NotFoundError(f"there is no source {name!r} any more; name it in quell.yaml again")
    understood = understand(source, raw, received_at, form="", is_gzip=raw.startswith(GZIP_MAGIC))
    if isinstance(understood, Refused):
        raise PayloadError(understood.detail)
    return understood.parsed


def _parse(source: Source, raw: bytes, value: Json, at: datetime, form: str) -> Understood:
    try:
        parsed = source.parse(value, at, form=form)
    except PayloadError as error:
        return _nothing(raw, error, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Exception as error:  # a body that finds a gap in a connector is kept, too
        log.exception("parse_failed", source=source.name)
        gap = PayloadError(f"quell could not read this ({type(error).__name__}), and kept it")
        return _nothing(raw, gap, HTTPStatus.UNPROCESSABLE_ENTITY)
    return Understood(parsed, HTTPStatus.UNPROCESSABLE_ENTITY)


def _nothing(raw: bytes, error: PayloadError, status: int) -> Understood:
    return Understood(Parsed((), (Rejected(-1, error.field, error.problem, raw),)), status)


def _verdict(understood: Understood, dead_letters: Sequence[str]) -> Response:
    parsed = understood.parsed
    rejected = [
        {
            "index": part.index if part.index >= 0 else None,
            "field": part.field,
            "problem": part.problem,
            "dead_letter": dead_letter,
        }
        for part, dead_letter in zip(parsed.rejected, dead_letters, strict=True)
    ]
    if parsed.alerts or not parsed.rejected:
        return json_answer({"accepted": len(parsed.alerts), "rejected": rejected})
    first = parsed.rejected[0]
    what = f"{first.field}: {first.problem}" if first.field else first.problem
    return problem(understood.status_if_none, what, members={"rejected": rejected})
