"""What anybody with access can ask: incidents, approvals, balance, audit."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import StreamingResponse

from engine.gateway.answers import (
    approval_answer,
    audit_answer,
    balance_answer,
    dead_letter_content,
    dead_letter_page,
    incident_answer,
    incident_story,
    locks_answer,
    positions_answer,
    silences_answer,
    stops_answer,
    trust_answer,
    waiting_answer,
)
from engine.gateway.parts import GatewayParts
from engine.ports.api import (
    ApprovalAnswer,
    AuditAnswer,
    BalanceAnswer,
    DeadLetterContent,
    DeadLetterPage,
    IncidentPage,
    IncidentStory,
    LocksAnswer,
    PositionsAnswer,
    SilencesAnswer,
    StopsAnswer,
)
from engine.ports.brake_api import BrakeAnswer, brake_answer
from engine.ports.commands import TIMELINE_PAGE, Queries
from engine.ports.raises_api import RaisesAnswer, raises_answer
from engine.ports.rows import IncidentFilter
from engine.ports.rules_api import TrustAnswer, WaitingAnswer

MAX_PAGE = 500
# A number, of the last incident or entry that was shown.
CURSOR = r"^([0-9]{1,15})?$"


def queries_of(request: Request) -> Queries:
    """The queries of this gateway."""
    parts: GatewayParts = request.app.state.parts
    return parts.queries


Asked = Annotated[Queries, Depends(queries_of)]
router = APIRouter(prefix="/v1", tags=["read"])


@router.get("/incidents")
async def list_incidents(  # one argument a filter
    queries: Asked,
    status: Literal["", "open", "resolved", "closed"] = "",
    severity: Literal["", "P1", "P2", "P3", "P4"] = "",
    service: Annotated[str, Query(max_length=1000)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[str, Query(pattern=CURSOR)] = "",
) -> IncidentPage:
    """Incidents, newest first; pass `next_cursor` as `cursor` for those before them."""
    which = IncidentFilter(
        status=status,
        severity=severity,
        service=service,
        before_number=int(cursor) if cursor else None,
        limit=limit + 1,  # one more tells whether there is another page
    )
    found = await queries.incidents(which)
    page = tuple(incident_answer(incident) for incident in found[:limit])
    return IncidentPage(
        incidents=page, next_cursor=str(page[-1].number) if len(found) > limit else None
    )


@router.get("/incidents/{incident}")
async def show_incident(
    incident: str,
    queries: Asked,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = TIMELINE_PAGE,
    cursor: Annotated[str, Query(pattern=CURSOR)] = "",
) -> IncidentStory:
    """One incident with its timeline; by id, a unique prefix of it, or INC-12.

    Pass `next_cursor` as `cursor` for what follows this page, or the `seq` of any entry for what
    came after that.
    """
    found = await queries.incident(incident)
    after_seq = int(cursor) if cursor else 0
    page = await queries.timeline(found.id, after_seq=after_seq, limit=limit)
    return incident_story(found, page)


@router.get("/approvals/{approval}")
async def show_approval(approval: str, queries: Asked) -> ApprovalAnswer:
    """One request for approval; by its own id, its run's or its incident's."""
    return approval_answer(await queries.approval(approval))


@router.get("/stops")
async def stops(queries: Asked) -> StopsAnswer:
    """What may change nothing now, and on whose order."""
    return stops_answer(await queries.stops())


@router.get("/trust")
async def trust(queries: Asked) -> TrustAnswer:
    """How far each rule has earned trust, by environment."""
    return trust_answer(await queries.trust())


@router.get("/waiting")
async def waiting(
    queries: Asked, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50
) -> WaitingAnswer:
    """Alerts that fire and open nothing yet, the latest first, and what they wait for."""
    return waiting_answer(await queries.waiting(limit))


@router.get("/silences")
async def silences(queries: Asked) -> SilencesAnswer:
    """What people silenced, by when it ends."""
    return silences_answer(await queries.silences())


@router.get("/locks")
async def locks(queries: Asked) -> LocksAnswer:
    """Every target that a run keeps others from changing."""
    return locks_answer(await queries.locks())


@router.get("/brake")
async def brake(queries: Asked) -> BrakeAnswer:
    """Whether a storm keeps everything from acting by itself."""
    return brake_answer(await queries.brake())


@router.get("/raises")
async def raises(queries: Asked) -> RaisesAnswer:
    """What goes further by the files than it may before a second person confirmed it."""
    return raises_answer(await queries.raises())


@router.get("/balance")
async def balance(queries: Asked) -> BalanceAnswer:
    """Every alert accounted for."""
    return balance_answer(await queries.balance())


@router.get("/positions")
async def positions(queries: Asked) -> PositionsAnswer:
    """Where each partition of the stream goes on, and why one can't."""
    return positions_answer(await queries.positions())


@router.get("/audit/verify")
async def verify_audit(queries: Asked) -> AuditAnswer:
    """Check every chain of the journal."""
    return audit_answer(await queries.verify_audit())


@router.get("/audit/export")
async def export_audit(queries: Asked) -> StreamingResponse:
    """The whole journal as JSON lines, for keeping elsewhere and `quell audit verify FILE`."""
    return StreamingResponse(queries.export_audit(), media_type="application/x-ndjson")


@router.get("/dead-letters")
async def list_dead_letters(
    queries: Asked,
    waiting: Annotated[bool, Query()] = False,  # noqa: FBT002 - a filter in the address
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[str, Query(pattern=r"^[a-z0-9]{0,64}$")] = "",
) -> DeadLetterPage:
    """What was kept because it couldn't be understood; `waiting`: not replayed yet."""
    found = await queries.dead_letters(limit + 1, waiting=waiting, after=cursor)
    return dead_letter_page(found, limit)


@router.get("/dead-letters/{letter}")
async def show_dead_letter(letter: str, queries: Asked) -> DeadLetterContent:
    """One dead letter with what it holds; by id or a unique prefix of it."""
    return dead_letter_content(await queries.dead_letter(letter))
