"""Others follow incidents in a topic: what they know in the end is what quell knows."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema

from tests.scenarios.on_kafka import read_topic, stream_section
from tests.scenarios.site import APPROVE, ONCALL, StartSite
from tests.services.kafka import KafkaBroker
from tests.services.process import wait_until

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "incident-v1.json").read_text()
)
DEADLINE_S = 60.0


def states(kafka: KafkaBroker, topic: str) -> list[dict[str, Any]]:
    """What a consumer is told, oldest first; each in the shape that is published."""
    events = [json.loads(value) for value in read_topic(kafka, topic)]
    for event in events:
        assert event["dataschema"] == SCHEMA["$id"]
        jsonschema.validate(event["data"], SCHEMA)
    return [event["data"] for event in events]


def test_an_incident_is_followed_to_its_end_past_an_outage_of_the_broker(
    kafka: KafkaBroker, start_site: StartSite
) -> None:
    prefix = f"followed-{uuid4().hex}."
    topic = f"{prefix}incidents"
    site = start_site(more={"stream": stream_section(kafka, prefix, deadline_s=3)})
    site.endpoint.die()
    asking = site.asked()
    wait_until(
        lambda: [each["phase"] for each in states(kafka, topic)][-1:] == ["awaiting_approval"],
        "the topic says that it waits for an approval",
        DEADLINE_S,
    )
    kafka.kill()
    try:
        site.slack.click(asking, APPROVE, ONCALL)
        site.quell.wait_for_incident(outcome="succeeded")
    finally:
        kafka.start()
    site.quell.wait_for_incident(status="resolved", outcome="succeeded", phase="idle")
    wait_until(lambda: site.quell.wait_for_incident()["ticket"] != "", "a ticket", DEADLINE_S)

    incident = site.quell.wait_for_incident()
    shared = sorted(set(SCHEMA["properties"]) & set(incident))
    assert len(shared) == len(SCHEMA["properties"]) - 1, "all but the revision"
    wanted = {name: incident[name] for name in shared}
    wait_until(
        lambda: {name: states(kafka, topic)[-1][name] for name in shared} == wanted,
        "the topic's last value is the incident as quell shows it",
        DEADLINE_S,
    )
    told = states(kafka, topic)
    assert {each["id"] for each in told} == {incident["id"]}
    revisions = [each["revision"] for each in told]
    assert revisions == sorted(revisions)
    assert told[-1]["status"] == "resolved"
    tellers = {"message.sent", "step.observed"}
    timeline = site.quell.story(incident)["timeline"]
    told_of = [e["seq"] for e in timeline if e["kind"].split("@")[0] not in tellers]
    assert revisions[-1] >= max(told_of)
