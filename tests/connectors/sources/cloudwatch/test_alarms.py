"""What each form of an alarm means."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.sources.cloudwatch.alarms import CONTRIBUTOR
from engine.core.alert import Alert
from engine.core.json_value import Json
from engine.errors import PayloadError
from engine.ports.source import Parsed
from tests.connectors.sources.cloudwatch.case import source
from tests.connectors.sources.cloudwatch.payloads import (
    ARN,
    COMPOSITE,
    CONTRIBUTED,
    CONTRIBUTOR_EVENT,
    DELETION,
    GROUPED_ARN,
    MATH,
    described,
    event,
    listing,
    notification,
)
from tests.contracts.source_case import NOW
from tests.services.sns import TOPIC

AT = datetime(2026, 3, 1, 11, 55, 0, 640_000, tzinfo=UTC)


def parsed(body: Json, **settings: Any) -> Parsed:
    return source(**settings).parse(body, NOW)


def alert(body: Json, **settings: Any) -> Alert:
    [found] = parsed(body, **settings).alerts
    return found


def in_sns(message: Json) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": TOPIC, "Message": json.dumps(message)}


def test_an_alarm_by_sns_becomes_an_alert() -> None:
    found = alert(in_sns(notification()))
    assert (found.name, found.status) == ("EndpointErrors", "firing")
    # `+0000` without a colon, and milliseconds.
    assert (found.starts_at, found.ends_at, found.event_at) == (AT, None, AT)
    assert found.labels == {
        "EndpointName": "llama-70b",
        "VariantName": "blue",
        "alarm_arn": ARN,
        "account": "123456789012",
        "region": "eu-central-1",
        "namespace": "AWS/SageMaker",
        "metric": "Invocation5XXErrors",
    }
    # The ARN's region, not the payload's "EU (Frankfurt)".
    assert (found.region, found.service, found.target) == (
        "eu-central-1",
        "llama-70b",
        "llama-70b",
    )
    assert found.resource == "llama-70b"
    assert found.annotations["description"] == "llama-70b answers with errors"
    assert found.annotations["threshold"] == "GreaterThanThreshold 5"
    assert found.annotations["previous_state"] == "OK"
    assert found.links[0].endswith("#alarmsV2:alarm/EndpointErrors")
    assert (found.expires_at, found.severity_hint) == (None, "")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(notification(), id="raw"),
        pytest.param(event(), id="eventbridge"),
        pytest.param(in_sns(event()), id="eventbridge-by-sns"),
        pytest.param(listing(described()), id="describe-alarms"),
    ],
)
def test_every_form_of_a_change_is_one_and_the_same_occurrence(body: Json) -> None:
    expected, found = alert(in_sns(notification())), alert(body)
    assert found.fingerprint == expected.fingerprint
    assert (found.status, found.event_at, found.starts_at) == ("firing", AT, AT)
    assert found.labels == expected.labels
    assert found.annotations["reason"] == expected.annotations["reason"]


@pytest.mark.parametrize(
    ("state", "by_setting", "expected"),
    [
        ("ALARM", "ignore", ["firing"]),
        ("OK", "ignore", ["resolved"]),
        ("INSUFFICIENT_DATA", "ignore", []),
        ("INSUFFICIENT_DATA", "firing", ["firing"]),
        ("INSUFFICIENT_DATA", "resolved", ["resolved"]),
    ],
)
def test_a_state_means_the_same_in_every_form(
    state: str, by_setting: str, expected: list[str]
) -> None:
    changed = {"value": state, "timestamp": "2026-03-01T11:55:00.640+0000"}
    for body in (
        in_sns(notification(NewStateValue=state)),
        event(state=changed),
        listing(described(StateValue=state)),
    ):
        found = parsed(body, insufficient_data=by_setting)
        assert [each.status for each in found.alerts] == expected
        assert found.rejected == () or found.rejected == []


def test_ok_ends_at_its_own_time() -> None:
    found = alert(in_sns(notification(NewStateValue="OK", OldStateValue="ALARM")))
    assert (found.status, found.ends_at, found.event_at) == ("resolved", AT, AT)


def test_eventbridge_also_tells_when_what_is_over_began() -> None:
    previous = {"value": "ALARM", "timestamp": "2026-03-01T11:00:00.000+0000"}
    state = {"value": "OK", "timestamp": "2026-03-01T11:55:00.640+0000"}
    found = alert(event(state=state, previousState=previous))
    assert (found.starts_at, found.ends_at) == (AT.replace(minute=0, microsecond=0), AT)


def test_a_composite_alarm_has_no_trigger_and_names_its_children() -> None:
    found = alert(in_sns(COMPOSITE))
    assert found.name == "Service"
    assert found.annotations["alarm_rule"] == "ALARM(EndpointErrors) OR ALARM(EndpointSlow)"
    assert found.annotations["triggered_by"] == ARN
    assert set(found.labels) == {"alarm_arn", "account", "region"}


def test_metric_math_has_its_expression_and_the_dimensions_that_all_share() -> None:
    found = alert(in_sns(notification(Trigger=MATH)))
    assert found.annotations["expression"] == "errors / calls"
    assert found.labels["EndpointName"] == "llama-70b"
    assert "Kind" not in found.labels
    assert "metric" not in found.labels


def test_each_contributor_is_an_occurrence_of_its_own_in_every_form() -> None:
    told = {
        "ContributorId": "6d442278dba546f6",
        "ContributorAttributes": {"TableName": "orders"},
        "StateReason": "Threshold Crossed",
        "StateTransitionedTimestamp": "2026-03-01T11:55:00.640000+00:00",
    }
    group = described(
        AlarmArn=GROUPED_ARN, AlarmName="TablesIdle", MetricName=None, AlarmContributors=[told]
    )
    by_list = parsed(listing(group)).alerts
    contributed = [alert(in_sns(CONTRIBUTED)), alert(CONTRIBUTOR_EVENT), by_list[1]]
    assert len({each.fingerprint for each in contributed}) == 1
    for each in contributed:
        assert (each.name, each.event_at) == ("TablesIdle", AT)
        assert (each.labels["TableName"], each.resource) == ("orders", "orders")
        assert each.labels[CONTRIBUTOR] == "6d442278dba546f6"
    assert by_list[0].fingerprint != by_list[1].fingerprint


def test_a_dimension_does_not_pass_for_what_quell_says() -> None:
    dimensions = [{"name": "account", "value": "999"}, {"name": "alarm_arn", "value": "x"}]
    trigger = {"MetricName": "m", "Dimensions": dimensions}
    labels = alert(in_sns(notification(Trigger=trigger))).labels
    assert (labels["account"], labels["alarm_arn"]) == ("123456789012", ARN)
    assert (labels["dimension_account"], labels["dimension_alarm_arn"]) == ("999", "x")


def test_attributes_beyond_what_labels_take_are_left_out_and_the_alert_is_kept() -> None:
    many = {f"attribute{n}": "x" * 1000 for n in range(150)}
    found = alert(in_sns(notification(AlarmContributorId="c", AlarmContributorAttributes=many)))
    assert found.labels[CONTRIBUTOR] == "c"
    assert 5 < len(found.labels) < 20


def test_what_mutes_or_suppresses_an_alarm_is_a_label() -> None:
    state = {
        "value": "ALARM",
        "timestamp": "2026-03-01T11:55:00.640+0000",
        "actionsSuppressedBy": "WaitPeriod",
    }
    found = alert(event(state=state, muteDetail={"mutedByArn": "arn:mute"}))
    assert (found.labels["suppressed_by"], found.labels["muted_by"]) == ("WaitPeriod", "arn:mute")
    suppressed = alert(listing(described(ActionsSuppressedBy="Alarm")))
    assert suppressed.labels["suppressed_by"] == "Alarm"


def test_a_deleted_alarm_fires_no_more() -> None:
    found = alert(DELETION)
    # The state is 640 ms younger than the event's whole seconds say.
    ended = datetime(2026, 3, 1, 11, 57, 0, 640_000, tzinfo=UTC)
    assert (found.status, found.event_at) == ("resolved", ended)
    assert found.fingerprint == alert(event()).fingerprint


@pytest.mark.parametrize("detail", [{"operation": "update"}, {"state": {"value": "OK"}}])
def test_any_other_change_of_its_configuration_changes_nothing(detail: Any) -> None:
    body = {**DELETION, "detail": {**DELETION["detail"], **detail}}
    assert parsed(body) == Parsed(())


def test_of_the_alarms_that_are_ok_only_those_count_that_became_so_lately() -> None:
    def since(hours: float) -> str:
        return (NOW - timedelta(hours=hours)).isoformat()

    ok = {"StateValue": "OK"}
    body = listing(
        described(**ok, StateTransitionedTimestamp=since(1)),
        described(**ok, StateTransitionedTimestamp=since(25)),
        described(StateTransitionedTimestamp=since(2_000)),
    )
    assert [each.status for each in parsed(body).alerts] == ["resolved", "firing"]
    assert len(parsed(body, look_back_s=30 * 3600).alerts) == 3


def test_a_list_without_transition_times_goes_by_the_update_s() -> None:
    older = described()
    del older["StateTransitionedTimestamp"]
    assert alert(listing(older)).event_at == datetime(2026, 3, 1, 11, 58, 0, 111_000, tzinfo=UTC)


def test_what_is_gone_is_resolved_when_it_was_found_so() -> None:
    gone = {"AlarmArn": ARN, "ContributorId": "", "ListedAt": "2026-03-01T11:59:00+00:00"}
    found = alert({"Gone": [gone]})
    assert (found.status, found.event_at) == ("resolved", AT.replace(minute=59, microsecond=0))


def test_a_wrong_alarm_of_a_list_is_rejected_alone() -> None:
    body = listing(described(), described(StateValue="FINE"), 5, described(AlarmArn="x"))  # type: ignore[arg-type]
    found = parsed(body)
    assert len(found.alerts) == 1
    assert [(each.field, each.problem.partition(",")[0]) for each in found.rejected] == [
        ("MetricAlarms[1].StateValue", "expected 'ALARM'"),
        ("MetricAlarms[2]", "expected an object"),
        ("MetricAlarms[3].AlarmArn", "expected an alarm's ARN"),
    ]


WRONG: list[tuple[Json, str, str]] = [
    ([], "", "expected an object, got a list"),
    ({}, "", "expected an alarm of CloudWatch"),
    ({"MetricAlarms": 5}, "MetricAlarms", "expected a list"),
    ({**in_sns({}), "Type": "Gossip"}, "Type", "expected 'Notification'"),
    ({**in_sns({}), "Message": 5}, "Message", "expected a string"),
    ({**in_sns({}), "Message": "disk full"}, "Message", "not JSON: Expecting value"),
    ({**in_sns({}), "Message": "[" * 100_000}, "Message", "nested deeper than 64 levels"),
    ({**in_sns({}), "Message": "9" * 5_000}, "Message", "doesn't fit 64 bits"),
    ({**in_sns({}), "Message": '{"a": 1, "a": 2}'}, "Message", "is there twice"),
    (in_sns([]), "Message", "expected an alarm of CloudWatch"),
    (in_sns(notification(StateChangeTime=None)), "Message.StateChangeTime", "got nothing"),
    (in_sns(notification(StateChangeTime="noon")), "Message.StateChangeTime", "got 'noon'"),
    (in_sns(notification(StateChangeTime=5)), "Message.StateChangeTime", "the number 5"),
    (in_sns(notification(NewStateValue="BAD")), "Message.NewStateValue", "got 'BAD'"),
    (in_sns(notification(AlarmArn=None)), "Message.AlarmArn", "got nothing"),
    (in_sns(notification(Trigger="x")), "Message.Trigger", "expected an object"),
    (in_sns(notification(TriggeringChildren={})), "Message.TriggeringChildren", "a list"),
    ({**event(), "source": "me"}, "source", "expected 'aws.cloudwatch', got 'me'"),
    ({**event(), "detail-type": "Login"}, "detail-type", "'Login' is no change"),
    ({**event(), "resources": []}, "resources", "expected the alarm's ARN"),
    ({**event(), "resources": [5]}, "resources[0]", "expected an alarm's ARN"),
    ({**event(), "detail": []}, "detail", "expected an object"),
    (event(state={"value": "ALARM"}), "detail.state.timestamp", "got nothing"),
]


@pytest.mark.parametrize(("body", "field", "problem"), WRONG, ids=lambda value: str(value)[:40])
def test_what_cannot_be_understood_is_told_with_its_path(
    body: Json, field: str, problem: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        parsed(body)
    assert caught.value.field == field
    assert problem in caught.value.problem


def test_unknown_fields_and_nulls_change_nothing() -> None:
    body = notification(Futurity={"x": [1]}, AlarmContributorAttributes=None)
    assert alert(in_sns(body)) == alert(in_sns(notification()))
    odd = {**notification(), "AlarmDescription": None, "Trigger": {**MATH, "New": 1}}
    assert "description" not in alert(in_sns(odd)).annotations


def test_broken_characters_are_replaced_and_the_alert_is_kept() -> None:
    found = alert(in_sns(notification(AlarmDescription="a\0b\ud800")))
    assert found.annotations["description"] == "a\ufffdb\ufffd"
