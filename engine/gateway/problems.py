"""Every error as problem+json (RFC 9457): what is wrong, what to do next, never a stack trace."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from engine.core.json_value import JsonObject
from engine.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    FencedError,
    NotFoundError,
    PayloadError,
    PermanentError,
    QuellError,
    TransientError,
)

PROBLEM_TYPE = "application/problem+json"

_STATUS_OF: tuple[tuple[type[QuellError], int], ...] = (
    (DeniedError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (PayloadError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConfigError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (PermanentError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (FencedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(
    status: int,
    detail: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    members: JsonObject | None = None,
) -> Response:
    """The answer for an error; `members` are further members of its body."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **(members or {}),
    }
    return json_answer(body, status=status, headers=headers, media_type=PROBLEM_TYPE)


def json_answer(
    body: JsonObject,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """JSON in ASCII: what a sender wrote may come back in it, lone surrogates included."""
    content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    return Response(content, status, dict(headers or {}), media_type=media_type)


def problem_of(error: QuellError, retry_after_s: float) -> Response:
    """The answer for one of quell's own errors."""
    status = next(
        (status for kind, status in _STATUS_OF if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        asked = error.retry_after_s if isinstance(error, TransientError) else None
        return unavailable(str(error), asked or retry_after_s)
    if isinstance(error, PayloadError) and error.field:
        members: JsonObject = {"errors": [{"field": error.field, "problem": error.problem}]}
        return problem(status, str(error), members=members)
    return problem(status, str(error))


def unavailable(detail: str, retry_after_s: float) -> Response:
    """503: the only answer to a temporary fault, because every sender repeats after it."""
    after = str(max(1, round(retry_after_s)))
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"retry-after": after})


def unauthorised(challenge: str = "Bearer") -> Response:
    """401 that asks for `challenge`, the same whatever was wrong; the log says what it was."""
    return problem(
        HTTPStatus.UNAUTHORIZED,
        "These credentials give no access here.",
        headers={"www-authenticate": challenge},
    )
