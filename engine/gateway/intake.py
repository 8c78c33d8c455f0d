"""Alerts in: authenticate, cap, read, parse, append durably, and only then answer.

The answers decide whether an alert survives a bad moment: Alertmanager drops what was answered
with 4xx, Azure gives up on 500, SNS takes any 4xx as delivered. So a temporary fault is always
503, and what can't be understood is kept as a dead letter before anything is answered.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import structlog
from starlette.responses import Response
from structlog.contextvars import bound_contextvars

from engine.errors import FullError, PayloadError, TransientError
from engine.gateway.access import neighbourhood
from engine.gateway.body import BodyReader, Incoming, Refused
from engine.gateway.keeping import Keeper, Kept, Understood, nothing_in
from engine.gateway.parts import GatewayParts
from engine.gateway.problems import json_answer, problem, unauthorised, unavailable
from engine.gateway.rates import Rates
from engine.ports.source import Admission, Sender, Source

COME_AGAIN = "Alerts can't be kept at the moment; send them again."
TOO_MANY = "Too many requests at once; send this one again."
# A metric's label for callers that don't get in; no sender can have this name.
UNKNOWN = "(unknown)"
# Some senders, Cloud Monitoring among them, give user and password only when they are asked to.
CHALLENGE = 'Bearer, Basic realm="quell"'
MAX_SHOWN = 80

log = structlog.get_logger()


class AlertIntake:
    """Answers `POST /v1/alerts/{source}` and Alertmanager's `POST /api/v2/alerts`."""

    def __init__(self, parts: GatewayParts, bodies: BodyReader) -> None:
        self._parts = parts
        self._bodies = bodies
        # Of callers that don't get in, whatever they ask for, by address.
        self._strangers = Rates(parts.limits.requests_per_s, parts.limits.burst)
        # Of those that get in, by source and name: as many as are configured.
        self._senders = Rates(parts.limits.requests_per_s, parts.limits.burst)
        self._keeper = Keeper(parts.intake, parts.clock, parts.metrics)

    async def respond(
        self, address: str, sender: Sender, incoming: Incoming, *, open_: bool
    ) -> Response:
        """The answer for a body sent to a source's kind or name; `open_` asks no credentials."""
        candidates = self._parts.sources.get(address, ())
        if not candidates:
            return self._unknown(address, sender)
        try:
            door = await knock(candidates, sender, self._parts.clock.now(), open_=open_)
        except TransientError as error:
            return self._come_again(address, error)
        if door.source is None and not door.by_body:
            return self._denied(address, sender, door.why)
        if door.source is None:
            return await self._take_signed(address, door.by_body, sender, incoming)
        if refusal := self._too_many(door.source.name, door.sender):
            return refusal
        with self._by(door.source, door.sender):
            answer = await self._take(door.source, sender, incoming)
        return self._noted(door.source, door.sender, answer)

    async def _take_signed(
        self, address: str, candidates: Sequence[Source], sender: Sender, incoming: Incoming
    ) -> Response:
        """Read the body first, because its signature is what lets the sender in."""
        # Which is work that anybody can ask for.
        if refusal := self._too_many(address, UNKNOWN, sender.peer):
            return refusal
        limit = max(source.max_body_bytes for source in candidates)
        async with self._bodies.read(incoming, sender.headers, limit) as body:
            if isinstance(body, Refused):
                return self._refusal(address, body)
            try:
                door = await knock(candidates, sender, self._parts.clock.now(), body=body)
            except TransientError as error:
                return self._come_again(address, error)
            if door.source is None:
                return self._denied(address, sender, door.why)
            if refusal := self._too_many(door.source.name, door.sender):
                return refusal
            with self._by(door.source, door.sender):
                answer = await self._read(door.source, sender, body)
            return self._noted(door.source, door.sender, answer)

    async def _take(self, source: Source, sender: Sender, incoming: Incoming) -> Response:
        async with self._bodies.read(incoming, sender.headers, source.max_body_bytes) as body:
            if isinstance(body, Refused):
                return self._refusal(source.name, body)
            return await self._read(source, sender, body)

    async def _read(self, source: Source, sender: Sender, body: bytes) -> Response:
        try:
            understood = await self._understand(source, sender, body)
            if isinstance(understood, Refused):
                return self._refusal(source.name, understood)
            kept = await self._keeper.keep_understood(source, understood)
        except FullError as error:
            self._parts.metrics.intake_full.labels(source.name).inc()
            log.error("intake_full", source=source.name, why=str(error))
            answer = unavailable(
                str(error), error.retry_after_s or self._parts.limits.retry_after_s
            )
            return self._counted(source.name, answer)
        except TransientError as error:
            return self._come_again(source.name, error)
        except Exception:  # whatever it was, a sender that is told 503 keeps its alerts
            log.exception("intake_failed", source=source.name)
            answer = unavailable(COME_AGAIN, self._parts.limits.retry_after_s)
            return self._counted(source.name, answer)
        return self._counted(source.name, _verdict(source, kept))

    async def _understand(
        self, source: Source, sender: Sender, body: bytes
    ) -> Understood | Refused:
        encoding = sender.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            wrong = f"content-encoding {encoding[:40]!r} is not understood; send gzip or none"
            return nothing_in(body, PayloadError(wrong), HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return await self._keeper.understand(
            source, body, sender, is_gzip=encoding.endswith("gzip")
        )

    def stranger_waits(self, peer: str) -> Response | None:
        """503 where too much comes from where this caller is, whom nobody knows."""
        wait_s = self._strangers.wait_s(neighbourhood(peer), self._parts.clock.monotonic())
        if not wait_s:
            return None
        self._parts.metrics.rate_limited.labels("", UNKNOWN).inc()
        return unavailable(TOO_MANY, wait_s)

    def _unknown(self, address: str, sender: Sender) -> Response:
        if refusal := self.stranger_waits(sender.peer):
            return refusal
        # Behind a slash may be a token; most senders show nobody what they are answered.
        name, slash, _ = address[:MAX_SHOWN].partition("/")
        log.warning("intake_no_such_source", address=name + slash, peer=sender.peer)
        return problem(
            HTTPStatus.NOT_FOUND,
            f"no source {address[:MAX_SHOWN]!r}; /v1/alerts/ is followed by a source's kind or "
            "name",
        )

    def _denied(self, address: str, sender: Sender, why: str) -> Response:
        if refusal := self._too_many(address, UNKNOWN, sender.peer):
            return refusal
        log.warning("intake_denied", address=address, peer=sender.peer, why=why)
        return self._counted(address, unauthorised(CHALLENGE))

    def _too_many(self, source: str, sender: str, peer: str = "") -> Response | None:
        """503 where this sender, or this address of callers that nobody knows, sends too much."""
        now_s = self._parts.clock.monotonic()
        if sender == UNKNOWN:
            wait_s = self._strangers.wait_s(neighbourhood(peer), now_s)
        else:
            wait_s = self._senders.wait_s((source, sender), now_s)
        if not wait_s:
            return None
        self._parts.metrics.rate_limited.labels(source, sender).inc()
        return self._counted(source, unavailable(TOO_MANY, wait_s))

    @contextmanager
    def _by(self, source: Source, sender: str) -> Iterator[None]:
        """Measure what is done for a sender; the log names it, where it has a name."""
        named = bound_contextvars(sender=sender) if sender else nullcontext()
        with self._parts.metrics.intake_seconds.labels(source.name).time(), named:
            yield

    def _noted(self, source: Source, sender: str, answer: Response) -> Response:
        """Count what a sender with a name was answered."""
        if sender:
            labels = (source.name, sender, answer.status_code)
            self._parts.metrics.sender_requests.labels(*labels).inc()
        return answer

    def _come_again(self, source: str, error: TransientError) -> Response:
        log.warning("intake_unavailable", source=source, why=str(error))
        after = error.retry_after_s or self._parts.limits.retry_after_s
        return self._counted(source, unavailable(COME_AGAIN, after))

    def _refusal(self, source: str, refused: Refused) -> Response:
        log.warning("intake_refused", source=source, status=refused.status, why=refused.detail)
        if refused.status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer = unavailable(refused.detail, self._parts.limits.retry_after_s)
        else:
            answer = problem(refused.status, refused.detail)
        return self._counted(source, answer)

    def _counted(self, source: str, answer: Response) -> Response:
        self._parts.metrics.intake_requests.labels(source, answer.status_code).inc()
        return answer


@dataclass(frozen=True, slots=True)
class Door:
    """Which source lets a sender in, which ones only the body can tell of, and else why none.

    `sender` is who it was, where the settings give it a name.
    """

    source: Source | None
    by_body: Sequence[Source] = ()
    why: str = ""
    sender: str = ""


async def knock(
    candidates: Sequence[Source],
    sender: Sender,
    now: datetime,
    *,
    body: bytes | None = None,
    open_: bool = False,
) -> Door:
    """The source whose credentials were sent; where none are asked for, else the first.

    All are asked, so that the time doesn't tell which one it was. Raises TransientError where one
    can't tell now and no other lets the sender in.
    """
    found: list[tuple[Source, Admission]] = []
    unclear: TransientError | None = None
    for source in candidates:
        try:
            if body is None:
                found.append((source, await source.admit(sender, now)))
            else:
                found.append((source, await source.admit_body(sender, body, now)))
        except TransientError as error:
            unclear = error
        except Exception:  # a gap in one source lets nobody in, and is no word about its sender
            log.exception("admission_failed", source=source.name)
            unclear = TransientError(f"{source.name} failed to tell who sent it")
    for source, admission in found:
        if admission.outcome == "admitted":
            return Door(source, sender=admission.sender)
    if open_:
        return Door(candidates[0])
    if unclear is not None:
        raise unclear
    by_body = [source for source, admission in found if admission.outcome == "by_body"]
    return Door(None, by_body, "; ".join(dict.fromkeys(admission.why for _, admission in found)))


def _verdict(source: Source, kept: Kept) -> Response:
    understood = kept.understood
    parsed = understood.parsed
    rejected = [
        {
            "index": part.index if part.index >= 0 else None,
            "field": part.field,
            "problem": part.problem,
            "dead_letter": dead_letter,
        }
        for part, dead_letter in zip(parsed.rejected, kept.dead_letters, strict=True)
    ]
    if understood.status == HTTPStatus.OK or source.acknowledges_dead_letters:
        return json_answer({"accepted": len(parsed.alerts), "rejected": rejected})
    first = parsed.rejected[0]
    what = f"{first.field}: {first.problem}" if first.field else first.problem
    return problem(understood.status, what, members={"rejected": rejected})
