"""What Google publishes is taken, and nothing else."""

from typing import Any

import jsonschema
import pytest

from tests.services.discovery import discovery

PULL = "/v1/projects/p/subscriptions/s:pull"


def test_a_published_call_and_its_answer_are_taken() -> None:
    api = discovery("pubsub.v1")
    method = api.asked("POST", PULL, {"maxMessages": 3})
    assert method == "pubsub.projects.subscriptions.pull"
    message = {"messageId": "1", "data": "eA==", "attributes": {"a": "b"}}
    answer = {"receivedMessages": [{"ackId": "x", "message": message}]}
    assert api.answers(method, answer) == answer
    alerts = discovery("monitoring.v3")
    assert alerts.asked("GET", "/v3/projects/p/alerts/0.1", None).endswith("alerts.get")


@pytest.mark.parametrize(
    ("verb", "path", "body", "error"),
    [
        ("GET", PULL, None, AssertionError),
        ("POST", "/v1/projects/p/topics/s:pull", {}, AssertionError),
        ("POST", PULL, {"max": 1}, jsonschema.ValidationError),
        ("POST", PULL, {"maxMessages": "1"}, jsonschema.ValidationError),
        ("POST", PULL, {"maxMessages": 2**31}, jsonschema.ValidationError),
    ],
)
def test_any_other_call_is_not(verb: str, path: str, body: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        discovery("pubsub.v1").asked(verb, path, body)


@pytest.mark.parametrize(
    "alert", [{"state": "FIRING"}, {"openTime": "yesterday"}, {"unknown": 1}, {"name": 1}], ids=str
)
def test_an_answer_that_google_would_not_give_is_not(alert: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        discovery("monitoring.v3").answers("monitoring.projects.alerts.get", alert)
