import pytest

from connectors.sources.cloudwatch.metrics import NOTHING, Watched, fields_of, watched
from engine.core.json_value import Json
from engine.ports.payload import WrongField
from tests.connectors.sources.cloudwatch.payloads import MATH, TRIGGER, described, event

ENDPOINT = {"EndpointName": "llama-70b", "VariantName": "blue"}


def of(value: Json) -> Watched:
    return watched(fields_of(value, "Trigger"))


@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        pytest.param(TRIGGER, "GreaterThanThreshold 5", id="sns"),
        pytest.param(event()["detail"]["configuration"], "", id="eventbridge"),
        pytest.param(described(), "GreaterThanThreshold 5", id="describe-alarms"),
    ],
)
def test_one_metric_reads_the_same_in_each_spelling(value: Json, threshold: str) -> None:
    expected = Watched("AWS/SageMaker", "Invocation5XXErrors", ENDPOINT, "", threshold)
    assert of(value) == expected


def test_of_metric_math_the_dimensions_remain_that_all_metrics_share() -> None:
    assert of(MATH) == Watched(
        "AWS/SageMaker",
        "",
        {"EndpointName": "llama-70b"},
        "errors / calls",
        "GreaterThanThreshold 10",
    )


def test_nothing_is_watched_where_nothing_is_said() -> None:
    assert of({}) == NOTHING
    assert of({"Metrics": None, "Dimensions": None, "Threshold": "5"}) == NOTHING


@pytest.mark.parametrize(
    ("value", "field", "problem"),
    [
        ({"MetricName": 5}, "Trigger.MetricName", "expected a string"),
        ({"Metrics": {}}, "Trigger.Metrics", "expected a list, got an object"),
        ({"Metrics": [5]}, "Trigger.Metrics[0]", "expected an object"),
        ({"Metrics": [{"MetricStat": []}]}, "Trigger.Metrics[0].MetricStat", "expected an object"),
        (
            {"MetricName": "x", "Dimensions": [{"name": "a", "value": 1}]},
            "Trigger.Dimensions[0].value",
            "expected a string, got the number 1",
        ),
        ({"MetricName": "x", "Dimensions": "a"}, "Trigger.Dimensions", "expected an object"),
    ],
    ids=str,
)
def test_a_wrong_type_is_told_with_its_path(value: Json, field: str, problem: str) -> None:
    with pytest.raises(WrongField, match=problem) as caught:
        of(value)
    assert caught.value.field == field
