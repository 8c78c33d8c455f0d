"""The REST API as one FastAPI application, with every error as problem+json."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from engine.errors import QuellError
from engine.gateway import orders, reads, service
from engine.gateway.parts import GatewayParts
from engine.gateway.problems import problem, problem_of
from engine.ports.api import Problem


def build_api(parts: GatewayParts) -> FastAPI:
    """All routes but the alert intake; access was checked before a request comes here."""
    api = FastAPI(
        title="quell",
        version=parts.version,
        description="Incidents, approvals and runs. Errors are problem+json (RFC 9457).",
        redirect_slashes=False,
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "What is wrong"}},
    )
    api.state.parts, api.state.started_at = parts, parts.clock.now()
    for module in (reads, orders, service):
        api.include_router(module.router)
    api.add_exception_handler(QuellError, _quell_error)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(RequestValidationError, _validation_error)
    api.add_exception_handler(Exception, _unforeseen)
    return api


async def _quell_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, QuellError)
    parts: GatewayParts = request.app.state.parts
    return problem_of(error, parts.limits.retry_after_s)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {request.url.path[:200]!r}; /docs lists what there is."
    return problem(error.status_code, detail, headers=error.headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": _path(found["loc"]), "problem": str(found["msg"])} for found in error.errors()
    ]
    detail = "; ".join(f"{found['field']}: {found['problem']}" for found in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, members={"errors": errors})


async def _unforeseen(request: Request, error: Exception) -> Response:
    # The server logs the error with its stack; the caller gets neither.
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "quell met an error that it didn't foresee; its log says more. Look whether the order "
        "took effect before you repeat it.",
    )


def _path(loc: Sequence[Any]) -> str:
    """`body.reason`, `query.limit`."""
    return ".".join(str(part)[:80] for part in loc)
