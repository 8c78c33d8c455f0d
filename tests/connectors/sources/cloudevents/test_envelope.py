"""Events are found in each of their forms, and what is no sound event is told at its place."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from connectors.sources.cloudevents.envelope import event_of, events_in
from engine.errors import PayloadError
from engine.ports.payload import WrongField
from engine.ports.source import NOBODY, Sender

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/a",
    "type": "t",
    "data": {"x": 1},
}
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t"}


def sent_as(content_type: str, **more: str) -> Sender:
    return Sender({"content-type": content_type, **more})


@pytest.mark.parametrize(
    ("sender", "body", "events"),
    [
        pytest.param(sent_as("application/cloudevents+json"), EVENT, [EVENT], id="structured"),
        pytest.param(
            sent_as("Application/CloudEvents+JSON; charset=UTF-8"), EVENT, [EVENT], id="parameters"
        ),
        pytest.param(sent_as("application/cloudevents+json"), {}, [{}], id="structured, none"),
        pytest.param(
            sent_as("application/cloudevents-batch+json"), [EVENT, 1], [EVENT, 1], id="batch"
        ),
        pytest.param(sent_as("application/cloudevents-batch+json"), [], [], id="empty batch"),
        pytest.param(Sender({**BINARY}), {"x": 1}, [EVENT], id="binary"),
        pytest.param(
            Sender({**BINARY, "content-type": "application/json"}), {"x": 1}, [EVENT], id="binary 2"
        ),
        pytest.param(
            Sender({**BINARY, "content-type": "application/cloudevents+json"}),
            {**EVENT, "id": "2"},
            [{**EVENT, "id": "2"}],
            id="structured wins over stray headers",
        ),
        pytest.param(NOBODY, EVENT, [EVENT], id="kept, structured"),
        pytest.param(NOBODY, [EVENT, EVENT], [EVENT, EVENT], id="kept, batch"),
        pytest.param(NOBODY, {"x": 1}, None, id="other JSON"),
        pytest.param(NOBODY, [EVENT, {}], None, id="a list that isn't of events"),
        pytest.param(NOBODY, [], None, id="an empty list"),
        pytest.param(NOBODY, "x", None, id="a text"),
    ],
)
def test_events_are_found_in_each_form(sender: Sender, body: Any, events: Any) -> None:
    assert events_in(body, sender) == events


def test_a_batch_that_is_no_list_is_refused() -> None:
    with pytest.raises(PayloadError, match="expected a list of events, got an object"):
        events_in(EVENT, sent_as("application/cloudevents-batch+json"))


def test_attributes_in_headers_are_percent_decoded() -> None:
    headers = {**BINARY, "ce-subject": "K%C3%A4se%20%22x%22", "authorization": "Bearer s3cret"}
    assert events_in(None, Sender(headers)) == [{**EVENT, "subject": 'Käse "x"', "data": None}]


def test_data_in_base64_is_decoded() -> None:
    raw = {name: value for name, value in EVENT.items() if name != "data"}
    assert event_of({**raw, "data_base64": base64.b64encode(b'{"x": 1}').decode()}) == EVENT


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 1}, "id"),
        ({"source": None}, "source"),
        ({"type": []}, "type"),
        ({"data_base64": "!"}, "data_base64"),
        ({"data_base64": "é"}, "data_base64"),
        ({"data_base64": 1}, "data_base64"),
        ({"data_base64": base64.b64encode(b'{"x": NaN}').decode()}, "data_base64"),
        ({"data_base64": base64.b64encode(b'{"x": 1, "x": 2}').decode()}, "data_base64"),
        ({"data_base64": base64.b64encode(b"\xff").decode()}, "data_base64"),
    ],
)
def test_what_is_no_sound_event_is_told_by_field(changes: Mapping[str, Any], field: str) -> None:
    with pytest.raises(WrongField) as raised:
        event_of({**EVENT, **changes})
    assert raised.value.field == field


@pytest.mark.parametrize("raw", [None, 1, "x", []])
def test_what_is_no_object_is_no_event(raw: Any) -> None:
    with pytest.raises(WrongField, match="expected an event"):
        event_of(raw)
