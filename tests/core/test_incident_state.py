"""What others are told of an incident: one documented shape, and ids that tell repetitions."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.core.incident_state import (
    INCIDENT_SCHEMA,
    encode_state,
    schema_text,
    state_of,
)
from engine.core.severity import Mode, Severity
from tests.doubles.runs import START
from tests.doubles.stories import a_story

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "schemas" / "incident-v1.json"
SCHEMA = json.loads(schema_text())


def told(**changes: Any) -> dict[str, Any]:
    """The CloudEvent of the story's incident, with other values."""
    incident, entries = a_story()
    event: dict[str, Any] = json.loads(
        encode_state(state_of(replace(incident, **changes), entries[-1].seq))
    )
    return event


def test_the_published_schema_is_current() -> None:
    current = SCHEMA_FILE.read_text() == schema_text()
    assert current, "run: python -m engine.ports.publisher > docs/schemas/incident-v1.json"


def test_the_documented_event_has_the_shape() -> None:
    page = (SCHEMA_FILE.parents[1] / "kafka.md").read_text()
    event = json.loads(page.partition("```json\n")[2].partition("```")[0])
    jsonschema.validate(event["data"], SCHEMA)
    real = told()
    assert set(event) == set(real)
    assert list(event["data"]) == list(real["data"])


def test_the_schema_is_one_and_every_member_is_there_always() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == INCIDENT_SCHEMA
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"])
    assert SCHEMA.get("additionalProperties", True), "members may be added within a version"


def test_the_envelope_says_what_it_is() -> None:
    incident, entries = a_story()
    event = told()
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": event["id"],
        "source": "/quell/incidents",
        "type": "quell.incident.v1",
        "subject": incident.id,
        "time": data["updated_at"],
        "datacontenttype": "application/json",
        "dataschema": "urn:quell:schema:incident:v1",
    }
    assert data["revision"] == entries[-1].seq


def test_a_whole_story_is_told() -> None:
    data = told()["data"]
    jsonschema.validate(data, SCHEMA)
    seen = {name: data[name] for name in data if not name.endswith("_at")}
    assert seen == {
        "id": "incident",
        "number": 1,
        "name": "INC-1",
        "revision": data["revision"],
        "status": "resolved",
        "phase": "idle",
        "severity": "P1",
        "mode": "approve",
        "rule_id": "vllm-not-answering",
        "service": "llm",
        "environment": "production",
        "team": "",
        "title": "LLM <b>endpoint</b> | down",
        "open_occurrences": 0,
        "previous_id": "",
        "run_id": "run",
        "outcome": "succeeded",
        "ticket": "OPS-1",
        "ticket_url": "https://j/OPS-1",
    }
    assert data["opened_at"] == "2026-01-01T00:00:00Z"
    assert data["closed_at"] is None
    order = ("opened_at", "acknowledged_at", "mitigated_at", "resolved_at", "updated_at")
    assert sorted(order, key=lambda name: str(data[name])) == list(order)


@pytest.mark.parametrize(
    ("changes", "member", "value"),
    [
        pytest.param({"number": 1234}, "name", "INC-1234", id="name"),
        pytest.param({"severity": Severity.P4}, "severity", "P4", id="severity"),
        pytest.param({"mode": Mode.OBSERVE}, "mode", "observe", id="mode"),
        pytest.param({"open_count": 2}, "open_occurrences", 2, id="still firing"),
        pytest.param({"closed_at": START}, "closed_at", "2026-01-01T00:00:00Z", id="closed"),
        pytest.param({"resolved_at": None}, "resolved_at", None, id="not resolved"),
        pytest.param({"title": "größe 模型 🚨"}, "title", "größe 模型 🚨", id="any script"),
        pytest.param({"phase": "needs_person"}, "phase", "needs_person", id="phase"),
        pytest.param({"previous_id": "before"}, "previous_id", "before", id="linked"),
        pytest.param({"environment": "", "team": ""}, "team", "", id="nothing known"),
    ],
)
def test_each_state_keeps_the_shape(changes: dict[str, Any], member: str, value: object) -> None:
    data = told(**changes)["data"]
    jsonschema.validate(data, SCHEMA)
    assert data[member] == value


@pytest.mark.parametrize("broken", [{"status": "gone"}, {"revision": 0}, {"opened_at": None}])
def test_another_shape_does_not_pass(broken: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told()["data"] | broken, SCHEMA)


def test_the_same_state_is_the_same_event_and_another_revision_is_not() -> None:
    incident, _ = a_story()
    ids = {
        json.loads(encode_state(state_of(each, revision)))["id"]
        for each in (incident, replace(incident, id="other"))
        for revision in (3, 3, 4)
    }
    assert len(ids) == 4
    later = replace(incident, updated_at=incident.updated_at + timedelta(seconds=1))
    assert json.loads(encode_state(state_of(later, 3)))["id"] in ids
