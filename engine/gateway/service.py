"""Whether quell is well, in figures and in words, and what Alertmanager's tools ask of it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from engine.gateway.parts import GatewayParts
from engine.gateway.problems import json_answer, problem
from engine.ports.metrics import CONTENT_TYPE

HEALTH_PATHS = frozenset({"/healthz", "/readyz", "/-/healthy", "/-/ready"})
ALERTMANAGER_STATUS_PATH = "/api/v2/status"


def parts_of(request: Request) -> GatewayParts:
    """The parts of this gateway."""
    parts: GatewayParts = request.app.state.parts
    return parts


Parts = Annotated[GatewayParts, Depends(parts_of)]
router = APIRouter(tags=["service"], default_response_class=Response)


@router.get("/healthz")
async def healthz(parts: Parts) -> Response:
    """Whether work is getting done; a supervisor restarts quell when it isn't."""
    return _health("alive", parts.alive())


@router.get("/readyz")
async def readyz(parts: Parts) -> Response:
    """Whether store and stream take alerts; a load balancer looks elsewhere when they don't.

    What only some senders notice is a warning: no other replica would do better.
    """
    problems = await parts.ready()
    return _health("ready", problems, await parts.warnings() if not problems else [])


@router.get("/-/healthy")
async def alertmanager_healthy(parts: Parts) -> Response:
    """Alertmanager's name for /healthz."""
    return await healthz(parts)


@router.get("/-/ready")
async def alertmanager_ready(parts: Parts) -> Response:
    """Alertmanager's name for /readyz."""
    return await readyz(parts)


@router.get("/metrics")
async def metrics(parts: Parts) -> Response:
    """Figures in Prometheus's text format; docs/metrics.md lists them."""
    return PlainTextResponse(parts.metrics.text(), media_type=CONTENT_TYPE)


@router.get(ALERTMANAGER_STATUS_PATH)
async def alertmanager_status(request: Request, parts: Parts) -> Response:
    """What amtool asks before anything else; all members are required by its client.

    https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (alertmanagerStatus)
    """
    version = {"version": parts.version, "goVersion": "", "branch": "", "revision": ""}
    return json_answer(
        {
            "cluster": {"status": "disabled", "peers": []},
            "config": {"original": ""},
            "uptime": request.app.state.started_at.isoformat(),
            "versionInfo": {**version, "buildDate": "", "buildUser": ""},
        }
    )


def _health(what: str, problems: list[str], warnings: Sequence[str] = ()) -> Response:
    if problems:
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(problems), members={"problems": problems}
        )
    return json_answer({"status": what, **({"warnings": list(warnings)} if warnings else {})})
