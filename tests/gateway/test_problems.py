"""Errors as problem+json: statuses, members, and text that can't break the answer."""

import json

import pytest

from engine.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    FencedError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadError,
    PermanentError,
    QuellError,
    TransientError,
)
from engine.gateway.problems import json_answer, problem, problem_of

STATUSES = [
    (DeniedError("only on-call may"), 403),
    (NotFoundError("no incident 'x'"), 404),
    (ConflictError("decided already"), 409),
    (PayloadError("expected a list", "alerts"), 422),
    (ConfigError("no such playbook"), 422),
    (PermanentError("never"), 422),
    (FencedError("another replica"), 503),
    (TransientError("later"), 503),
    (OutcomeUnknownError("perhaps"), 500),
    (QuellError("anything else"), 500),
]


@pytest.mark.parametrize(("error", "status"), STATUSES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_status_and_says_what_is_wrong(error: QuellError, status: int) -> None:
    response = problem_of(error, retry_after_s=5)
    body = json.loads(bytes(response.body))
    assert response.status_code == body["status"] == status
    assert response.media_type == "application/problem+json"
    assert (body["type"], body["detail"]) == ("about:blank", str(error))
    assert ("retry-after" in response.headers) == (status == 503)


@pytest.mark.parametrize(("asked", "said"), [(None, "5"), (0.2, "1"), (61.0, "61")])
def test_a_temporary_fault_says_when_to_come_back(asked: float | None, said: str) -> None:
    response = problem_of(TransientError("later", asked), retry_after_s=5)
    assert response.headers["retry-after"] == said


def test_a_wrong_field_is_a_member_of_its_own() -> None:
    body = json.loads(bytes(problem_of(PayloadError("expected a list", "alerts"), 5).body))
    assert body["errors"] == [{"field": "alerts", "problem": "expected a list"}]


def test_whatever_a_sender_wrote_can_be_answered() -> None:
    hostile = "\ud800\0<script>"
    assert json.loads(bytes(problem(400, hostile).body))["detail"] == hostile
    assert json.loads(bytes(json_answer({"a": hostile}).body)) == {"a": hostile}
