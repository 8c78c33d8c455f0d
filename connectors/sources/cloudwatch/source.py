"""Amazon CloudWatch: the Source port over SNS, SQS and CloudWatch's own API.

What each form means for quell is in docs/sources/cloudwatch.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from typing_extensions import override

from connectors.sources.cloudwatch.alarms import ALARM_ARN, CONTRIBUTOR, GONE, LISTS, AlarmReader
from connectors.sources.cloudwatch.api import AwsAccount
from connectors.sources.cloudwatch.arns import AlarmArn, Topic, alarm_of, topic_of
from connectors.sources.cloudwatch.certificates import Certificates, Fetch
from connectors.sources.cloudwatch.config import CloudwatchConfig
from connectors.sources.cloudwatch.metrics import Fields
from connectors.sources.cloudwatch.queue import AlarmQueue
from connectors.sources.cloudwatch.reconcile import AlarmList, Sleep, contributors, described
from connectors.sources.cloudwatch.signatures import (
    NOTIFICATION,
    SUBSCRIPTION,
    UNSUBSCRIPTION,
    SnsSignatures,
)
from engine.core.alert import Alert, AlertStatus, Occurrence, fingerprint_of
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation, by_last_notice
from engine.errors import ConfigError, PayloadError, PermanentError
from engine.ports import strict_json
from engine.ports.blocking import BoundedThreads
from engine.ports.extras import is_installed
from engine.ports.http_reads import read
from engine.ports.payload import WrongField, shown, time_in
from engine.ports.source import BY_BODY, NOBODY, Admission, Feed, Parsed, Sender, Source, denied

# Beside one for each queue, which waits there: lists, and who asks whether something still fires.
MORE_THREADS = 4
UNSUBSCRIBED = "SnsUnsubscribed"
# Nobody resolves it but a new subscription.
UNSUBSCRIBED_FOR = timedelta(hours=24)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Handshake:
    """What SNS told of a subscription, and what confirms it."""

    kind: str
    topic: Topic
    token: str
    at: datetime


class CloudwatchSource(Source):
    """The Source port over one configuration; `fetch` and `sleep` are of a test's own."""

    def __init__(
        self, config: CloudwatchConfig, *, fetch: Fetch = read, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Raises ConfigError where AWS is to be asked and boto3 isn't installed."""
        if config.aws and not is_installed("botocore"):
            raise ConfigError(
                f"the source {config.name!r} asks AWS, which needs boto3: install quell with its "
                "extra `aws`"
            )
        self._config = config
        self._sleep = sleep
        self._topics = {arn: topic for arn in config.topics if (topic := topic_of(arn))}
        certificates = Certificates(config.roots, config.certificate_mirror, fetch)
        self._signatures = SnsSignatures(self._topics, certificates, config.accept_sha1)
        queues = sum(len(account.queues) for account in config.aws)
        self._threads = BoundedThreads(config.name, queues + MORE_THREADS)
        self._accounts = {each.id: AwsAccount(each, self._threads) for each in config.aws}

    @property
    @override
    def name(self) -> str:
        return self._config.name

    @property
    @override
    def has_credentials(self) -> bool:
        """Also where AWS is only asked: then nobody elsewhere is meant to get in."""
        return bool(self._topics or self._accounts)

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        if sender.headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
            return denied("raw delivery has no signature; switch it off for this subscription")
        return BY_BODY if self._topics else denied("no `topics` are configured")

    @override
    async def admit_body(self, sender: Sender, body: bytes, now: datetime) -> Admission:
        return await self._signatures.admit(body, now)

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        """A message of SNS, an event of EventBridge, an alarm as SNS has it, or a list of alarms.

        Raises PayloadError when it is none of them.
        """
        if not isinstance(body, dict):
            raise PayloadError(f"expected an object, got {shown(body)}")
        reader = AlarmReader(
            self.name,
            self._config.labels,
            self._config.insufficient_data,
            timedelta(seconds=self._config.look_back_s),
            received_at,
        )
        try:
            if "TopicArn" in body and "Type" in body:
                return self._envelope(body, reader)
            if any(name in body for name in (*LISTS, GONE)):
                return reader.listing(body)
            return _change(body, reader, "")
        except WrongField as wrong:
            raise PayloadError(wrong.problem, wrong.field) from wrong

    @override
    async def finish(self, parsed: Parsed, received_at: datetime) -> Sequence[Alert]:
        handshake = parsed.unfinished
        assert isinstance(handshake, _Handshake)  # parse makes no other
        topic = handshake.topic
        if handshake.kind == UNSUBSCRIPTION:
            log.warning("sns_unsubscribed", source=self.name, topic=topic.arn)
            if not self._config.resubscribe:
                return ()
        await self._account_of(topic).call(
            "sns",
            topic.region,
            "confirm_subscription",
            TopicArn=topic.arn,
            Token=handshake.token,
            # Otherwise whoever has a message's UnsubscribeURL ends the subscription.
            AuthenticateOnUnsubscribe="true",
        )
        log.info("sns_subscribed", source=self.name, topic=topic.arn)
        return (self._subscription(handshake, "resolved", received_at),)

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        alarm = alarm_of(occurrence.alert.labels.get(ALARM_ARN, ""))
        if alarm is None or not self._accounts:
            ttl = timedelta(seconds=self._config.last_notice_counts_s)
            return by_last_notice(occurrence, now, ttl)
        account = self._accounts.get(alarm.account)
        if account is None or alarm.region not in account.config.regions:
            told = f"{alarm.region} of account {alarm.account} isn't among those in `aws`"
            return Confirmation("cannot_tell", "source", told)
        return await self._asked(account, alarm, occurrence.alert.labels.get(CONTRIBUTOR, ""))

    @override
    def feeds(self) -> Sequence[Feed]:
        found = []
        for account in self._accounts.values():
            for url in account.config.queues:
                queue = AlarmQueue(account, url)
                found.append(Feed(f"queue {url}", partial(queue.run, self)))
            if (every_s := account.config.reconcile_s) is not None:
                for region in account.config.regions:
                    alarms = AlarmList(account, region, self._sleep)
                    name = f"alarms of {account.config.id} in {region}"
                    found.append(Feed(name, partial(alarms.run, self, every_s=every_s)))
        return found

    @override
    async def close(self) -> None:
        self._threads.close()

    def _envelope(self, body: Mapping[str, Json], reader: AlarmReader) -> Parsed:
        envelope = Fields(body, "")
        match envelope.text("Type"):
            case "Notification":
                return _change(_inner(envelope.text("Message")), reader, "Message")
            case "SubscriptionConfirmation" | "UnsubscribeConfirmation" as kind:
                return self._handshake(kind, envelope, reader)
            case other:
                kinds = f"{NOTIFICATION!r}, {SUBSCRIPTION!r} or {UNSUBSCRIPTION!r}"
                raise WrongField("Type", f"expected {kinds}, got {shown(other)}")

    def _handshake(self, kind: str, envelope: Fields, reader: AlarmReader) -> Parsed:
        arn = envelope.text("TopicArn")
        topic = self._topics.get(arn)
        if topic is None:
            raise WrongField("TopicArn", f"{shown(arn)} is none of `topics`")
        at = time_in(envelope.raw, "Timestamp") or reader.received_at
        if not (token := envelope.text("Token")):
            raise WrongField("Token", "expected what confirms the subscription, got nothing")
        handshake = _Handshake(kind, topic, token, at)
        alerts: tuple[Alert, ...] = ()
        if kind == UNSUBSCRIPTION:
            alerts = (self._subscription(handshake, "firing", reader.received_at),)
        return Parsed(alerts, unfinished=handshake)

    def _subscription(
        self, handshake: _Handshake, status: AlertStatus, received_at: datetime
    ) -> Alert:
        """An alert of its own: without the subscription no alarm of the topic comes any more."""
        topic, fires = handshake.topic, status == "firing"
        return Alert(
            fingerprint=fingerprint_of(self.name, {"subscription": topic.arn}),
            source=self.name,
            name=UNSUBSCRIBED,
            status=status,
            labels={"topic": topic.arn, "account": topic.account, "region": topic.region},
            annotations={
                "summary": f"SNS sends quell nothing from {topic.arn} any more: somebody ended the "
                "subscription. Subscribe again, or take the topic out of `topics`."
            },
            starts_at=handshake.at,
            ends_at=None if fires else handshake.at,
            received_at=received_at,
            event_at=handshake.at,
            expires_at=received_at + UNSUBSCRIBED_FOR if fires else None,
            region=topic.region,
            severity_hint="error",
        )

    def _account_of(self, topic: Topic) -> AwsAccount:
        """Whose credentials confirm: those of the topic's account, or else of its region."""
        accounts = [
            account
            for account in self._accounts.values()
            if topic.region in account.config.regions or account.config.id == topic.account
        ]
        accounts.sort(key=lambda account: account.config.id != topic.account)
        if not accounts:
            raise PermanentError(
                f"no account in `aws` can confirm a subscription to {topic.arn}; add one and "
                "replay this dead letter, or run aws sns confirm-subscription "
                "--authenticate-on-unsubscribe true with its Token"
            )
        return accounts[0]

    async def _asked(self, account: AwsAccount, alarm: AlarmArn, contributor: str) -> Confirmation:
        asked = f"asked CloudWatch in {alarm.region}, account {alarm.account}"
        answer = await described(account, alarm.region, [alarm.name])
        states = {
            each["AlarmArn"]: each["StateValue"] for kind in LISTS for each in answer.get(kind, ())
        }
        state = states.get(alarm.arn)
        if state == "ALARM" and contributor:
            firing = await contributors(account, alarm.region, alarm.name)
            if all(each["ContributorId"] != contributor for each in firing):
                return Confirmation("resolved", "source", f"{asked}: no contributor any more")
        match state:
            case "ALARM":
                return Confirmation("firing", "source", asked)
            case "INSUFFICIENT_DATA":
                by_setting = self._config.insufficient_data
                told = f"{asked}: {state}"
                answered = "cannot_tell" if by_setting == "ignore" else by_setting
                return Confirmation(answered, "source", told)
            case None:
                # Deleted, or these aren't the account's credentials, which nobody can see here.
                return Confirmation("cannot_tell", "source", f"{asked}: there is no such alarm")
            case _:
                return Confirmation("resolved", "source", asked)


def _change(body: Json, reader: AlarmReader, path: str) -> Parsed:
    """An alarm's change as EventBridge or as SNS has it. Raises WrongField."""
    if isinstance(body, dict) and "detail-type" in body:
        return reader.event(body, path)
    if isinstance(body, dict) and "NewStateValue" in body:
        return reader.notification(body, path)
    raise WrongField(path, "expected an alarm of CloudWatch, or an event of EventBridge with one")


def _inner(text: str) -> Json:
    """The JSON inside the message. Raises WrongField."""
    try:
        return strict_json.decode(text.encode())
    except PayloadError as error:
        raise WrongField("Message", error.problem) from error
