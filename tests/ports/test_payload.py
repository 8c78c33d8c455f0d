"""What is kept from one alert to the next changes none of them."""

from itertools import chain

import pytest

from engine.core.alert import fingerprint_of
from engine.core.ids import derived_id
from engine.core.json_value import Json
from engine.ports.payload import SHARED_FROM, LabelNames, Texts, WrongField


def test_each_alert_is_read_by_its_own_labels() -> None:
    told = [
        {"alertname": "A", "job": "vllm", "node": "n1"},
        {"node": "n2", "alertname": "B", "job": "web"},
        {"alertname": "C", "host": "h3", "service": "chat", "job": "vllm"},
        {"alertname": "D"},
    ]
    found = [LabelNames().fields(labels) for labels in told]
    assert [(each["service"], each["target"]) for each in found] == [
        *(("vllm", "n1"), ("web", "n2"), ("chat", "h3"), ("", "")),
    ]
    assert [fingerprint_of("am", labels) for labels in told] == [
        derived_id("fingerprint", "am", *chain(*sorted(labels.items()))) for labels in told
    ]


def test_sources_with_other_lists_choose_apart() -> None:
    labels = {"svc": "chat", "job": "vllm"}
    assert LabelNames().fields(labels)["service"] == "vllm"
    assert LabelNames(service=("svc",)).fields(labels)["service"] == "chat"


@pytest.mark.parametrize(("alerts", "shares"), [(SHARED_FROM - 1, False), (SHARED_FROM, True)])
def test_only_a_body_with_many_alerts_keeps_equal_texts_once(alerts: int, *, shares: bool) -> None:
    texts = Texts.of_alerts(alerts)
    one, other = (texts.of({"a": " ".join(["x", "y"])}, "labels") for _ in range(2))
    assert one == other == {"a": "x y"}
    assert (one["a"] is other["a"]) == shares


@pytest.mark.parametrize(
    ("labels", "annotations", "size"),
    [
        pytest.param({"a": "bc"}, {"d": "ef"}, 6, id="plain"),
        pytest.param({"a": "bc"}, None, 3, id="no annotations"),
        pytest.param({"a": "ü"}, {}, None, id="more bytes than characters"),
        pytest.param({"a": "b", "c": ""}, {}, None, id="empty"),
        pytest.param({"a": "b\0"}, {}, None, id="no text of a database"),
    ],
)
def test_the_size_of_an_alerts_texts_is_told_where_it_is_plain(
    labels: dict[str, Json], annotations: dict[str, Json] | None, size: int | None
) -> None:
    texts = Texts.of_alerts(1)
    read = (texts.of(labels, "labels"), texts.of(annotations or {}, "annotations"))
    assert texts.of_both(labels, annotations) == (*read, size)


@pytest.mark.parametrize(
    ("labels", "annotations", "field"),
    [({"a": 1}, {}, "labels.a"), ({"a": "b"}, {"c": None}, "annotations.c"), ([], {}, "labels")],
)
def test_what_is_no_text_is_told_by_its_place(labels: Json, annotations: Json, field: str) -> None:
    with pytest.raises(WrongField) as caught:
        Texts.of_alerts(1).of_both(labels, annotations)
    assert caught.value.field == field
