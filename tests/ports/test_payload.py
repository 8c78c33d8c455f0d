"""What is kept from one alert to the next changes none of them."""

from itertools import chain

import pytest

from engine.core.alert import fingerprint_of
from engine.core.ids import derived_id
from engine.ports.payload import SHARED_FROM, LabelNames, Texts


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
