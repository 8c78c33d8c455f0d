"""What others are told of an incident: its whole state after an entry, as a CloudEvent in JSON.

The shape of `data` is published as docs/schemas/incident-v1.json. Within version 1 members are
only added, so consumers ignore those that they don't know; anything else is another version.
Source of the envelope: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.core.ids import derived_id
from engine.core.incident import Incident, IncidentStatus, Phase

INCIDENT_TYPE: Literal["quell.incident.v1"] = "quell.incident.v1"
# Where consumers look up the shape; it never changes for this version.
INCIDENT_SCHEMA: Literal["urn:quell:schema:incident:v1"] = "urn:quell:schema:incident:v1"

_Moment = Annotated[datetime | None, Field(description="RFC 3339, UTC; null until it happens.")]


class IncidentState(BaseModel):
    """The state of one incident."""

    model_config = ConfigDict(frozen=True, title="quell incident, version 1")

    id: str = Field(description="Derived and stable; the record's key.")
    number: int = Field(description="12 of INC-12; unique in the installation.")
    name: str = Field(description="INC-12, as people say it.")
    revision: int = Field(
        ge=1,
        description="Rises with each change. A consumer drops what has a lower one than it has "
        "seen of this id.",
    )
    status: IncidentStatus
    phase: Phase = Field(description="What quell does about it now.")
    severity: Literal["P1", "P2", "P3", "P4"]
    mode: Literal["observe", "suggest", "approve", "auto"] = Field(
        description="What quell may do about it."
    )
    rule_id: str = Field(description="The rule that opened it.")
    service: str
    environment: str
    team: str
    title: str
    open_occurrences: int = Field(ge=0, description="How many of its alerts still fire.")
    opened_at: datetime = Field(description="RFC 3339, UTC.")
    updated_at: datetime = Field(description="RFC 3339, UTC: when the newest change was made.")
    acknowledged_at: _Moment
    mitigated_at: _Moment
    resolved_at: _Moment
    closed_at: _Moment
    previous_id: str = Field(description='The closed incident that this one follows; "" if none.')
    run_id: str = Field(description='The latest run of a playbook; "" if none.')
    outcome: str = Field(
        description='How the latest run ended: succeeded, failed, …; "" while it runs, or if none.'
    )
    ticket: str = Field(description='Its key in the tracker; "" if none.')
    ticket_url: str = Field(description='"" if none.')


class _IncidentEvent(BaseModel):
    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: Literal["/quell/incidents"] = "/quell/incidents"
    type: Literal["quell.incident.v1"] = INCIDENT_TYPE
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:quell:schema:incident:v1"] = INCIDENT_SCHEMA
    data: IncidentState


def state_of(incident: Incident, revision: int) -> IncidentState:
    """The incident after the entry `revision` of its chain."""
    return IncidentState(
        id=incident.id,
        number=incident.number,
        name=incident.name,
        revision=revision,
        status=incident.status,
        phase=incident.phase,
        severity=incident.severity.name,
        mode=incident.mode.value,
        rule_id=incident.rule_id,
        service=incident.service,
        environment=incident.environment,
        team=incident.team,
        title=incident.title,
        open_occurrences=incident.open_count,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        acknowledged_at=incident.acknowledged_at,
        mitigated_at=incident.mitigated_at,
        resolved_at=incident.resolved_at,
        closed_at=incident.closed_at,
        previous_id=incident.previous_id,
        run_id=incident.run_id,
        outcome=incident.outcome,
        ticket=incident.ticket,
        ticket_url=incident.ticket_url,
    )


def encode_state(state: IncidentState) -> bytes:
    """As a CloudEvent; the same state of an incident is always the same event."""
    event = _IncidentEvent(
        id=derived_id("incident-state", state.id, str(state.revision)),
        subject=state.id,
        time=state.updated_at,
        data=state,
    )
    return event.model_dump_json().encode()


def schema_text() -> str:
    """docs/schemas/incident-v1.json: the JSON Schema of `data`."""
    described = IncidentState.model_json_schema(mode="serialization")
    for member in described["properties"].values():
        del member["title"]  # its name, once more
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": INCIDENT_SCHEMA,
        **described,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
