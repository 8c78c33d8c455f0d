"""The source as a whole: subscriptions, replays, what still fires, the way through the gateway."""

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from connectors.sources.cloudwatch import CloudwatchConfig, CloudwatchSource
from engine.core.alert import Alert, Occurrence, receive
from engine.errors import ConfigError, PayloadError, PermanentError, TransientError
from engine.gateway.app import build_gateway
from engine.gateway.keeping import finish_again, parse_again
from engine.gateway.parts import GatewayParts
from engine.ports.source import NOBODY
from tests.connectors.sources.cloudwatch.case import roots, source
from tests.connectors.sources.cloudwatch.payloads import (
    CONTRIBUTOR_EVENT,
    described,
    event,
    notification,
)
from tests.contracts.source_case import NOW, admission
from tests.doubles.aws_server import AwsServer, Failure
from tests.doubles.gateway import MemoryIntake, gateway_parts, served
from tests.services.sns import CERTIFICATE_URL, TOPIC, SnsSender, published, sns

TOKEN = "2336412f37"
OTHERS = TOPIC + "-of-others"


def account(aws: AwsServer, **settings: Any) -> dict[str, Any]:
    return {"id": "123456789012", "regions": ["eu-central-1"], "endpoint_url": aws.url, **settings}


def asking(aws: AwsServer, **settings: Any) -> CloudwatchSource:
    return source(aws=[account(aws)], **settings)


def occurrence(body: Any) -> Occurrence:
    [alert] = source().parse(body, NOW).alerts
    return receive(alert, None).occurrence


async def finished(of: CloudwatchSource, body: Any) -> list[Alert]:
    """What the keeper comes to: the body's own alerts, and those of what had to be done."""
    parsed = of.parse(body, NOW)
    assert parsed.unfinished is not None
    return [*parsed.alerts, *await of.finish(parsed, NOW)]


async def test_a_subscription_is_confirmed_by_the_api_and_never_by_its_address(
    aws: AwsServer,
) -> None:
    of, opened = asking(aws), list[str]()
    with published({}, opened) as address:
        told = {"SubscribeURL": f"{address}/?Token={TOKEN}"}
        await finished(of, sns().confirmation(NOW, "SubscriptionConfirmation", **told))
    assert opened == []
    [confirmed] = aws.confirmed
    assert confirmed == {
        "TopicArn": TOPIC,
        "Token": TOKEN,
        "AuthenticateOnUnsubscribe": "true",
    }
    await of.close()


async def test_a_subscription_to_another_topic_is_no_one_s_wish(aws: AwsServer) -> None:
    """Also where nobody had to sign, on loopback."""
    of = asking(aws)
    message = replace(sns(), topic=OTHERS).confirmation(NOW, "SubscriptionConfirmation")
    with pytest.raises(PayloadError, match="is none of `topics`"):
        of.parse(message, NOW)
    assert (await admission(of, {}, json.dumps(message).encode())).outcome == "denied"
    assert aws.asked == []


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(500, "InternalError"), TransientError),
        (Failure(403, "AuthorizationError"), PermanentError),
        (Failure(400, "InvalidParameter"), PermanentError),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
async def test_a_confirmation_that_fails_says_why_and_not_the_token(
    aws: AwsServer, failure: Failure, error: type[Exception]
) -> None:
    aws.failures["ConfirmSubscription"] = [failure]
    with pytest.raises(error, match=failure.code) as caught:
        await finished(asking(aws), sns().confirmation(NOW, "SubscriptionConfirmation"))
    assert TOKEN not in str(caught.value)


async def test_without_an_account_the_dead_letter_says_what_to_do() -> None:
    with pytest.raises(PermanentError, match="aws sns confirm-subscription") as caught:
        await finished(source(), sns().confirmation(NOW, "SubscriptionConfirmation"))
    assert TOKEN not in str(caught.value)


async def test_the_topic_s_account_confirms_or_else_one_of_its_region(aws: AwsServer) -> None:
    def role(of: str) -> dict[str, str]:
        return {"role_arn": f"arn:aws:iam::{of}:role/quell"}

    other = account(aws, **role("999999999999")) | {"id": "999999999999"}
    own = account(aws, **role("123456789012"))
    message = sns().confirmation(NOW, "SubscriptionConfirmation")
    await finished(source(aws=[other, own]), message)
    await finished(source(aws=[other]), message)
    roles = [each["RoleArn"] for each in aws.assumed]
    assert roles == [own["role_arn"], other["role_arn"]]
    with pytest.raises(PermanentError):
        await finished(source(aws=[other | {"regions": ["us-east-1"]}]), message)


async def test_an_ended_subscription_is_an_alert_until_there_is_a_new_one(aws: AwsServer) -> None:
    of = asking(aws)
    with capture_logs() as logs:
        [alert] = await finished(of, sns().confirmation(NOW, "UnsubscribeConfirmation"))
    assert aws.confirmed == []  # somebody wanted it so
    assert [each["event"] for each in logs] == ["sns_unsubscribed"]
    assert (alert.name, alert.status, alert.severity_hint) == ("SnsUnsubscribed", "firing", "error")
    assert alert.labels["topic"] == TOPIC
    assert alert.expires_at == NOW + timedelta(hours=24)
    later = NOW + timedelta(minutes=9)
    [over] = await finished(of, sns().confirmation(later, "SubscriptionConfirmation"))
    opened = receive(alert, None)
    assert (opened.effect, receive(over, opened.occurrence).effect) == ("opened", "resolved")
    assert TOKEN not in repr((alert, over, logs))


async def test_it_subscribes_again_where_that_is_configured(aws: AwsServer) -> None:
    of = asking(aws, resubscribe=True)
    alerts = await finished(of, sns().confirmation(NOW, "UnsubscribeConfirmation"))
    assert [alert.status for alert in alerts] == ["firing", "resolved"]
    assert len(aws.confirmed) == 1


@pytest.mark.parametrize("missing", ["Token", "TopicArn"])
def test_a_confirmation_without_its_parts_is_told(missing: str) -> None:
    message = sns().confirmation(NOW, "SubscriptionConfirmation")
    with pytest.raises(PayloadError):
        source().parse({name: text for name, text in message.items() if name != missing}, NOW)


REPLAYED_AFTER = {
    "1-s": timedelta(seconds=1),
    "4-min": timedelta(minutes=4),
    "6-min": timedelta(minutes=6),
    "1-h": timedelta(hours=1),
    "24-h": timedelta(hours=24),
}


@pytest.mark.parametrize("after", REPLAYED_AFTER.values(), ids=REPLAYED_AFTER)
async def test_a_message_that_is_sent_again_gets_in_and_changes_nothing(after: timedelta) -> None:
    """SNS's own repeats look the same as an attacker's, so they may come and do no harm."""
    of, late = source(), NOW + after
    fires = sns().notification(json.dumps(notification()), NOW)
    resolves = sns().notification(
        json.dumps(
            notification(NewStateValue="OK", StateChangeTime="2026-03-01T11:58:00.000+0000")
        ),
        NOW,
    )
    for message in (fires, resolves):
        found = await of.admit_body(NOBODY, json.dumps(message).encode(), late)
        assert found.outcome == "admitted"
    [opened], [ended] = (of.parse(message, NOW).alerts for message in (fires, resolves))
    [again], [ended_again] = (of.parse(message, late).alerts for message in (fires, resolves))
    first = receive(opened, None)
    assert first.effect == "opened"
    assert receive(again, first.occurrence).effect == "repeat"
    over = receive(ended, first.occurrence)
    assert over.effect == "resolved"
    for alert in (again, ended_again):
        notice = receive(alert, over.occurrence)
        assert notice.effect == "stale"
        assert notice.occurrence == over.occurrence


async def test_after_25_hours_a_replay_is_refused() -> None:
    message = json.dumps(sns().notification(json.dumps(notification()), NOW)).encode()
    found = await source().admit_body(NOBODY, message, NOW + timedelta(hours=25, seconds=1))
    assert found.outcome == "denied"


@pytest.mark.parametrize(
    ("state", "by_setting", "answer"),
    [
        ("ALARM", "ignore", "firing"),
        ("OK", "ignore", "resolved"),
        ("INSUFFICIENT_DATA", "ignore", "cannot_tell"),
        ("INSUFFICIENT_DATA", "firing", "firing"),
        ("INSUFFICIENT_DATA", "resolved", "resolved"),
    ],
)
async def test_whether_it_still_fires_is_asked_for_by_name(
    aws: AwsServer, state: str, by_setting: str, answer: str
) -> None:
    aws.put(as_listed(StateValue=state))
    of = asking(aws, insufficient_data=by_setting)
    found = await of.still_firing(occurrence(event()), NOW)
    assert (found.answer, found.basis) == (answer, "source")
    assert aws.asked[0][1]["AlarmNames"] == ["EndpointErrors"]


@pytest.mark.parametrize("account_of_credentials", ["123456789012", "999999999999"])
async def test_an_alarm_that_is_not_there_is_nothing_to_go_by(
    aws: AwsServer, account_of_credentials: str
) -> None:
    """It may be deleted; or the credentials are another account's, with one of the same name."""
    arn = described()["AlarmArn"].replace("123456789012", account_of_credentials)
    if arn != described()["AlarmArn"]:
        aws.put(as_listed(AlarmArn=arn))
    found = await asking(aws).still_firing(occurrence(event()), NOW)
    assert (found.answer, "no such alarm" in found.detail) == ("cannot_tell", True)


async def test_a_composite_alarm_is_asked_for_as_well(aws: AwsServer) -> None:
    full = as_listed()
    kept = ("AlarmName", "AlarmArn", "StateValue")
    aws.put({key: full[key] for key in kept}, "CompositeAlarm")
    assert (await asking(aws).still_firing(occurrence(event()), NOW)).answer == "firing"


@pytest.mark.parametrize(
    ("contributor", "answer"), [("6d442278dba546f6", "firing"), ("x", "resolved")]
)
async def test_a_contributor_is_asked_for_by_its_id(
    aws: AwsServer, contributor: str, answer: str
) -> None:
    [alert] = source().parse(CONTRIBUTOR_EVENT, NOW).alerts
    aws.put(as_listed(AlarmName="TablesIdle", AlarmArn=alert.labels["alarm_arn"]))
    aws.contributors["TablesIdle"] = [
        {"ContributorId": contributor, "ContributorAttributes": {}, "StateReason": "x"}
    ]
    found = await asking(aws).still_firing(receive(alert, None).occurrence, NOW)
    assert found.answer == answer


@pytest.mark.parametrize("change", ["account", "region"])
async def test_what_is_not_configured_cannot_be_asked(aws: AwsServer, change: str) -> None:
    arn = event()["resources"][0]
    foreign = arn.replace(
        *{"account": ("123456789012", "999999999999"), "region": ("eu-central-1", "eu-west-1")}[
            change
        ]
    )
    of = asking(aws)
    found = await of.still_firing(occurrence({**event(), "resources": [foreign]}), NOW)
    assert (found.answer, "isn't among those in `aws`" in found.detail) == ("cannot_tell", True)
    assert aws.asked == []


async def test_without_an_account_the_last_notice_counts() -> None:
    found = await source().still_firing(occurrence(event()), NOW)
    assert (found.answer, found.basis) == ("firing", "last notice")
    late = await source().still_firing(occurrence(event()), NOW + timedelta(hours=2))
    assert late.answer == "cannot_tell"


async def test_an_account_that_does_not_answer_is_told(aws: AwsServer) -> None:
    aws.failures["DescribeAlarms"] = [Failure(503, "ServiceUnavailable")]
    with pytest.raises(TransientError, match="ServiceUnavailable"):
        await asking(aws).still_firing(occurrence(event()), NOW)


def test_without_boto3_only_what_asks_aws_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    source()
    with pytest.raises(ConfigError, match="install quell with its extra `aws`"):
        source(aws=[{"id": "123456789012", "regions": ["eu-central-1"]}])


def test_each_queue_and_each_region_is_a_feed(aws: AwsServer) -> None:
    queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/quell"
    first = account(aws, queues=[queue], regions=["eu-central-1", "eu-west-1"])
    second = account(aws, reconcile_s=None) | {"id": "999999999999"}
    assert [feed.name for feed in source(aws=[first, second]).feeds()] == [
        f"queue {queue}",
        "alarms of 123456789012 in eu-central-1",
        "alarms of 123456789012 in eu-west-1",
    ]
    assert source().feeds() == []


def gateway(of: CloudwatchSource) -> tuple[GatewayParts, MemoryIntake]:
    intake = MemoryIntake()
    parts = gateway_parts(loopback=False)
    return replace(parts, sources={"cloudwatch": (of,)}, intake=intake), intake


async def test_sns_through_the_gateway_repeats_until_the_stream_is_back() -> None:
    parts, intake = gateway(source())
    intake.fault = TransientError("the stream is down")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            intake.fault = None

    message = sns().notification(json.dumps(notification()), NOW)
    with served(parts) as port:
        url = f"http://127.0.0.1:{port}/v1/alerts/cloudwatch"
        delivery = await SnsSender(url, sleep).send(message)
        assert (delivery.outcome, delivery.statuses) == ("delivered", [503, 503, 503, 200])
        assert [alert.name for alert in intake.alerts] == ["EndpointErrors"]
        raw = await SnsSender(url, sleep, headers={"x-amz-sns-rawdelivery": "true"}).send(message)
        assert raw.statuses == [401]
    assert slept == [20.0, 20.0, 20.0]


async def test_roots_and_a_mirror_by_settings_let_sns_in_without_the_internet() -> None:
    path = urlsplit(CERTIFICATE_URL).path
    asked: list[str] = []
    with published({path: sns().chain}, asked) as mirror:
        config = CloudwatchConfig(topics=(TOPIC,), roots=roots(), certificate_mirror=mirror)
        parts, intake = gateway(CloudwatchSource(config))
        message = sns().notification(json.dumps(notification()), NOW)
        assert [(await post(parts, message)).status_code for _ in range(2)] == [200, 200]
    assert asked == [path]
    assert len(intake.alerts) == 2


async def test_sns_is_told_to_come_again_while_its_certificate_cannot_be_had() -> None:
    parts, intake = gateway(source(files={}))
    message = sns().notification(json.dumps(notification()), NOW)
    assert (await post(parts, message)).status_code == 503
    assert intake.alerts == []


async def test_a_confirmation_that_cannot_be_is_a_dead_letter() -> None:
    parts, intake = gateway(source())
    message = sns().confirmation(NOW, "SubscriptionConfirmation")
    answer = await post(parts, message)
    assert answer.status_code == 422
    [letter] = intake.letters
    assert "confirm-subscription" in letter.problem
    assert TOKEN not in letter.problem
    assert TOKEN.encode() in letter.raw  # which is what confirms it by hand


async def test_a_kept_confirmation_confirms_once_there_is_an_account(aws: AwsServer) -> None:
    parts, intake = gateway(source())
    await post(parts, sns().confirmation(NOW, "SubscriptionConfirmation"))
    [letter] = intake.letters
    mended = {"cloudwatch": (asking(aws),)}
    left = parse_again(mended, "cloudwatch", letter.raw, NOW)
    [told] = await finish_again(mended, parts.clock, "cloudwatch", left)
    assert (told.name, told.status) == ("SnsUnsubscribed", "resolved")
    assert [each["Token"] for each in aws.confirmed] == [TOKEN]


async def post(parts: GatewayParts, message: Any) -> httpx.Response:
    transport = httpx.ASGITransport(build_gateway(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://quell.example") as http:
        return await http.post("/v1/alerts/cloudwatch", content=json.dumps(message, indent=2))


def as_listed(**fields: Any) -> dict[str, Any]:
    times = ("StateUpdatedTimestamp", "StateTransitionedTimestamp")
    full = described(**fields)
    return full | {name: datetime.fromisoformat(full[name]) for name in times}
