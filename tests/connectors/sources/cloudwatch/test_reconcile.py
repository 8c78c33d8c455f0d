"""What CloudWatch lists and quell may have missed, as pass after pass tells of it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.sources.cloudwatch.reconcile import AlarmList
from engine.core.alert import receive
from engine.errors import PermanentError, TransientError
from tests.connectors.sources.cloudwatch.accounts import REGION, Taken, account
from tests.connectors.sources.cloudwatch.case import source
from tests.connectors.sources.cloudwatch.payloads import described, notification
from tests.contracts.source_case import NOW
from tests.doubles.aws_server import AwsServer, Failure
from tests.doubles.virtual_time import VirtualClock

GROUPED = 'SELECT AVG(Used) FROM "AWS/DynamoDB" GROUP BY TableName'


def alarm(name: str, state: str = "ALARM", minutes_ago: float = 5, **fields: Any) -> dict[str, Any]:
    since = NOW - timedelta(minutes=minutes_ago)
    return described(
        AlarmName=name,
        AlarmArn=f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:{name}",
        StateValue=state,
        StateUpdatedTimestamp=since,
        StateTransitionedTimestamp=since,
        **fields,
    )


def composite(name: str) -> dict[str, Any]:
    shared = ("AlarmArn", "StateReason", "StateUpdatedTimestamp", "StateTransitionedTimestamp")
    full = alarm(name)
    return {
        **{key: full[key] for key in shared},
        "AlarmName": name,
        "StateValue": "ALARM",
        "AlarmRule": "ALARM(a)",
    }


def grouped() -> dict[str, Any]:
    full = alarm("TablesIdle", Metrics=[{"Id": "m1", "Expression": GROUPED, "ReturnData": True}])
    return {key: each for key, each in full.items() if key not in ("MetricName", "Dimensions")}


def contributor(number: int) -> dict[str, Any]:
    return {
        "ContributorId": f"c{number}",
        "ContributorAttributes": {"TableName": f"table{number}"},
        "StateReason": "Threshold Crossed",
        "StateTransitionedTimestamp": NOW - timedelta(minutes=4),
    }


@pytest.fixture
def alarms(aws: AwsServer) -> Iterator[AlarmList]:
    with account(aws.url) as there:
        yield AlarmList(there, REGION, VirtualClock().sleep)


async def passes(alarms: AlarmList, taken: Taken) -> list[tuple[str, str]]:
    """What one more pass tells."""
    await alarms.compare(source(), taken)
    return sorted(taken.told())


async def test_what_fires_is_told_once_and_again_when_it_changes(
    aws: AwsServer, alarms: AlarmList
) -> None:
    aws.put(alarm("A"))
    aws.put(alarm("B", "OK", minutes_ago=60))
    aws.put(alarm("old", "OK", minutes_ago=60 * 24 * 30))
    aws.put(composite("C"), "CompositeAlarm")
    taken = Taken()
    assert await passes(alarms, taken) == [("A", "firing"), ("B", "resolved"), ("C", "firing")]
    assert await passes(alarms, taken) == []
    aws.put(alarm("A", "OK", minutes_ago=1))
    assert await passes(alarms, taken) == [("A", "resolved")]
    aws.put(alarm("A", "ALARM", minutes_ago=0))
    assert await passes(alarms, taken) == [("A", "firing")]
    assert taken.letters == []


async def test_every_page_is_read(aws: AwsServer, alarms: AlarmList) -> None:
    aws.page = 3
    for number in range(10):
        aws.put(alarm(f"A{number}"))
    taken = Taken()
    assert len(await passes(alarms, taken)) == 10
    assert taken.bodies == 4


async def test_a_notice_that_came_by_sns_already_is_a_repeat(
    aws: AwsServer, alarms: AlarmList
) -> None:
    """StateTransitionedTimestamp is what SNS calls StateChangeTime."""
    at = datetime.fromisoformat("2026-03-01T11:55:00.640+00:00")
    aws.put(described(StateTransitionedTimestamp=at, StateUpdatedTimestamp=NOW))
    taken = Taken()
    await alarms.compare(source(), taken)
    message = {"Type": "Notification", "TopicArn": "t", "Message": json.dumps(notification())}
    [by_sns] = source().parse(message, NOW).alerts
    opened = receive(by_sns, None)
    [by_list] = taken.alerts
    assert receive(by_list, opened.occurrence).effect == "repeat"
    # And once it is over, what fires no more doesn't come back.
    over = receive(
        source().parse(notification(NewStateValue="OK"), NOW).alerts[0], opened.occurrence
    )
    assert receive(by_list, over.occurrence).effect == "stale"


async def test_a_new_process_tells_again_and_changes_nothing(aws: AwsServer) -> None:
    aws.put(alarm("A"))
    effects = []
    current = None
    for _ in range(3):
        taken = Taken()
        with account(aws.url) as there:
            await AlarmList(there, REGION, VirtualClock().sleep).compare(source(), taken)
        notice = receive(taken.alerts[0], current)
        effects.append(notice.effect)
        current = notice.occurrence
    assert effects == ["opened", "repeat", "repeat"]


async def test_what_was_resolved_while_nobody_looked_is_told_of(aws: AwsServer) -> None:
    aws.put(alarm("A", "OK", minutes_ago=60 * 23))
    taken = Taken()
    with account(aws.url) as there:
        await AlarmList(there, REGION, VirtualClock().sleep).compare(source(), taken)
    assert taken.told() == [("A", "resolved")]


async def test_a_deleted_alarm_is_resolved_by_aws_s_clock(
    aws: AwsServer, alarms: AlarmList
) -> None:
    aws.put(alarm("A"))
    aws.put(alarm("B"))
    aws.put(alarm("was-ok", "OK"))
    taken = Taken()
    await passes(alarms, taken)
    aws.now = NOW + timedelta(minutes=5)
    aws.alarms[REGION] = [each for each in aws.alarms[REGION] if each[1]["AlarmName"] == "B"]
    await alarms.compare(source(), taken)
    [gone] = taken.alerts
    assert (gone.name, gone.status, gone.event_at) == ("A", "resolved", aws.now)
    taken.told()
    assert await passes(alarms, taken) == []


async def test_an_alarm_that_a_changing_list_leaves_out_is_not_gone(
    aws: AwsServer, alarms: AlarmList
) -> None:
    aws.put(alarm("A"))
    taken = Taken()
    await passes(alarms, taken)
    aws.left_out = {"A"}
    assert await passes(alarms, taken) == []
    aws.left_out.clear()
    assert await passes(alarms, taken) == []


async def test_contributors_come_and_go_each_for_itself(aws: AwsServer, alarms: AlarmList) -> None:
    aws.put(grouped())
    aws.page = 2
    aws.contributors["TablesIdle"] = [contributor(n) for n in range(3)]
    taken = Taken()
    assert await passes(alarms, taken) == [("TablesIdle", "firing")] * 4
    assert await passes(alarms, taken) == []
    aws.now = NOW + timedelta(minutes=5)
    del aws.contributors["TablesIdle"][1]
    await alarms.compare(source(), taken)
    [over] = taken.alerts
    assert (over.status, over.labels["contributor_id"], over.event_at) == (
        "resolved",
        "c1",
        aws.now,
    )
    assert over.labels["TableName"] == "table1"
    taken.told()
    aws.contributors["TablesIdle"].append(contributor(7))
    # The alarm comes again with them, as a repeat.
    assert ("TablesIdle", "firing") in await passes(alarms, taken)


async def test_contributors_that_may_not_be_listed_stay_as_they_were(
    aws: AwsServer, alarms: AlarmList
) -> None:
    aws.put(grouped())
    aws.contributors["TablesIdle"] = [contributor(1)]
    taken = Taken()
    await passes(alarms, taken)
    aws.failures["DescribeAlarmContributors"] = [Failure(403, "AccessDenied")]
    assert await passes(alarms, taken) == []
    assert await passes(alarms, taken) == []


async def test_an_alarm_that_may_have_contributors_and_has_none_is_told_all_the_same(
    aws: AwsServer, alarms: AlarmList
) -> None:
    shared = ("AlarmName", "AlarmArn", "StateValue", "StateReason", "StateTransitionedTimestamp")
    full = alarm("LogErrors")
    aws.put({key: full[key] for key in shared}, "LogAlarm")
    assert await passes(alarms, Taken()) == [("LogErrors", "firing")]


async def test_what_cannot_be_kept_now_is_told_again(aws: AwsServer, alarms: AlarmList) -> None:
    aws.put(alarm("A"))
    taken = Taken(faults=[TransientError("the stream is down")])
    with pytest.raises(TransientError, match="the stream is down"):
        await alarms.compare(source(), taken)
    assert await passes(alarms, taken) == [("A", "firing")]


async def test_only_the_chosen_alarms_come(aws: AwsServer) -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    aws.put(alarm("prod-A", AlarmActions=[topic]))
    aws.put(alarm("prod-B"))
    aws.put(alarm("llm-C", AlarmActions=[topic]))
    aws.put(alarm("test-D", AlarmActions=[topic]))
    taken = Taken()
    chosen: dict[str, Any] = {"alarm_prefixes": ["prod-", "llm-"], "action_prefixes": [topic]}
    with account(aws.url, **chosen) as there:
        await AlarmList(there, REGION, VirtualClock().sleep).compare(source(), taken)
    assert sorted(taken.told()) == [("llm-C", "firing"), ("prod-A", "firing")]


async def test_it_compares_every_so_often_until_it_fails(aws: AwsServer) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            aws.failures["DescribeAlarms"] = [Failure(403, "AccessDenied")]

    with account(aws.url) as there, pytest.raises(PermanentError, match="AccessDenied"):
        await AlarmList(there, REGION, sleep).run(source(), Taken(), 300.0)
    assert slept == [300.0, 300.0]
