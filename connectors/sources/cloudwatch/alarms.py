"""Alarms as SNS, EventBridge and DescribeAlarms tell of them, read into alerts.

Formats: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html; what SNS
gets has no page, only samples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectors.sources.cloudwatch.arns import AlarmArn, alarm_of
from connectors.sources.cloudwatch.config import Insufficient
from connectors.sources.cloudwatch.metrics import NOTHING, Fields, Watched, fields_of, watched
from engine.core.alert import (
    MAX_LABEL_BYTES,
    Alert,
    AlertStatus,
    fingerprint_of,
)
from engine.core.json_value import Json
from engine.errors import PayloadError
from engine.ports.payload import (
    LabelNames,
    WrongField,
    bounded,
    raw_bytes,
    shown,
    storable,
    time_in,
)
from engine.ports.source import Parsed, Rejected

EVENT_SOURCE = "aws.cloudwatch"
# What DescribeAlarms answers, by kind of alarm.
LISTS = ("MetricAlarms", "CompositeAlarms", "LogAlarms")
# Ours, beside those: what was in ALARM when it was last asked for, and isn't there any more.
GONE = "Gone"

ALARM_ARN, CONTRIBUTOR = "alarm_arn", "contributor_id"
OWN_LABELS = frozenset(
    {ALARM_ARN, CONTRIBUTOR, "account", "region", "namespace", "metric", "muted_by"}
    | {"suppressed_by"}
)
# Contributors have up to 150 attributes of a kilobyte each, more than an alert's labels take.
MAX_DIMENSIONS = 60
MAX_DIMENSIONS_BYTES = 10 * 1024


@dataclass(frozen=True, slots=True)
class _Said:
    """What any form tells of one alarm, or of one contributor to it.

    `at` is when it came into this state, `since` when it fired before it was resolved.
    """

    arn: AlarmArn
    status: AlertStatus
    at: datetime
    since: datetime | None = None
    contributor: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    watched: Watched = NOTHING
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlarmReader:
    """Reads what one body says."""

    source: str
    names: LabelNames
    insufficient: Insufficient
    look_back: timedelta
    received_at: datetime

    def notification(self, body: Json, path: str = "") -> Parsed:
        """What SNS is sent. Raises WrongField."""
        alarm = fields_of(body, path)
        status = self.status(alarm, "NewStateValue")
        if status is None:
            return Parsed(())
        said = _Said(
            arn=_arn(*alarm.find("AlarmArn")),
            status=status,
            at=_time(alarm, "StateChangeTime"),
            contributor=alarm.text("AlarmContributorId"),
            attributes=alarm.texts("AlarmContributorAttributes"),
            watched=watched(alarm.inner("Trigger")),
            annotations={
                "description": alarm.text("AlarmDescription"),
                "reason": alarm.text("NewStateReason"),
                "previous_state": alarm.text("OldStateValue"),
                "alarm_rule": alarm.text("AlarmRule"),
                "triggered_by": ", ".join(
                    filter(None, (each.text("Arn") for each in alarm.each("TriggeringChildren")))
                ),
            },
        )
        return Parsed((self._alert(said),))

    def event(self, body: Json, path: str = "") -> Parsed:
        """What EventBridge sends. Raises WrongField."""
        event = fields_of(body, path)
        if (sent_by := event.text("source")) != EVENT_SOURCE:
            raise WrongField(
                event.find("source")[0], f"expected {EVENT_SOURCE!r}, got {shown(sent_by)}"
            )
        match event.text("detail-type"):
            case "CloudWatch Alarm State Change" | "CloudWatch Alarm Contributor State Change":
                said = self._changed(event)
            case "CloudWatch Alarm Configuration Change":
                said = self._deleted(event)
            case other:
                problem = f"{shown(other)} is no change of an alarm's state"
                raise WrongField(event.find("detail-type")[0], problem)
        return Parsed(() if said is None else (self._alert(said),))

    def listing(self, body: Mapping[str, Json]) -> Parsed:
        """What DescribeAlarms answers, and what is gone; a wrong alarm is rejected alone."""
        alerts: list[Alert] = []
        rejected: list[Rejected] = []
        for name in (*LISTS, GONE):
            listed = body.get(name) or []
            if not isinstance(listed, list):
                raise PayloadError(f"expected a list, got {shown(listed)}", name)
            for index, raw in enumerate(listed):
                where = f"{name}[{index}]"
                try:
                    alarm = fields_of(raw, where)
                    told = self._gone(alarm) if name == GONE else self._described(alarm)
                    alerts += [self._alert(said) for said in told]
                except WrongField as wrong:
                    place = len(alerts) + len(rejected)
                    rejected.append(Rejected(place, wrong.field, wrong.problem, raw_bytes(raw)))
        return Parsed(alerts, rejected)

    def status(self, fields: Fields, name: str) -> AlertStatus | None:
        """What a state means, None where it changes nothing. Raises WrongField."""
        match fields.text(name):
            case "ALARM":
                return "firing"
            case "OK":
                return "resolved"
            case "INSUFFICIENT_DATA":
                return None if self.insufficient == "ignore" else self.insufficient
            case other:
                problem = f"expected 'ALARM', 'OK' or 'INSUFFICIENT_DATA', got {shown(other)}"
                raise WrongField(fields.find(name)[0], problem)

    def _changed(self, event: Fields) -> _Said | None:
        detail = event.inner("detail")
        state, previous = detail.inner("state"), detail.inner("previousState")
        status = self.status(state, "value")
        if status is None:
            return None
        since = None
        if status == "resolved" and previous.text("value") == "ALARM":
            since = _time_or_none(previous, "timestamp")
        contributor, configuration = detail.inner("alarmContributor"), detail.inner("configuration")
        return _Said(
            arn=self._arn_of(event),
            status=status,
            at=_time(state, "timestamp"),
            since=since,
            contributor=contributor.text("id"),
            attributes=contributor.texts("attributes"),
            watched=watched(configuration),
            labels={
                "muted_by": detail.inner("muteDetail").text("mutedByArn"),
                "suppressed_by": state.text("actionsSuppressedBy"),
            },
            annotations={
                "description": configuration.text("description"),
                "reason": state.text("reason"),
                "previous_state": previous.text("value"),
                "alarm_rule": configuration.text("alarmRule"),
            },
        )

    def _deleted(self, event: Fields) -> _Said | None:
        """An alarm that is no more fires no more; other changes of it change nothing."""
        detail = event.inner("detail")
        state = detail.inner("state")
        if detail.text("operation") != "delete" or state.text("value") == "OK":
            return None
        # The event's time has whole seconds, so it may be before the state that it ends.
        at = max(_time(event, "time"), _time(state, "timestamp"))
        return _Said(
            arn=self._arn_of(event),
            status="resolved",
            at=at,
            watched=watched(detail.inner("configuration")),
            annotations={"reason": "the alarm was deleted"},
        )

    def _arn_of(self, event: Fields) -> AlarmArn:
        where, resources = event.find("resources")
        if not isinstance(resources, list) or not resources:
            raise WrongField(where, f"expected the alarm's ARN, got {shown(resources)}")
        return _arn(f"{where}[0]", resources[0])

    def _described(self, alarm: Fields) -> Iterator[_Said]:
        status = self.status(alarm, "StateValue")
        transitioned = "StateTransitionedTimestamp"
        # The older field also moves when nothing but the evaluation's own state changed.
        if alarm.find(transitioned)[1] is None:
            transitioned = "StateUpdatedTimestamp"
        at = _time(alarm, transitioned)
        said = _Said(
            arn=_arn(*alarm.find("AlarmArn")),
            status=status or "firing",
            at=at,
            watched=watched(alarm),
            labels={"suppressed_by": alarm.text("ActionsSuppressedBy")},
            annotations={
                "description": alarm.text("AlarmDescription"),
                "reason": alarm.text("StateReason"),
                "alarm_rule": alarm.text("AlarmRule"),
            },
        )
        # Most alarms have been OK for months.
        if status == "firing" or (status and self.received_at - at <= self.look_back):
            yield said
        for contributor in alarm.each("AlarmContributors"):
            yield replace(
                said,
                status="firing",
                at=_time_or_none(contributor, "StateTransitionedTimestamp") or at,
                contributor=contributor.text("ContributorId"),
                attributes=contributor.texts("ContributorAttributes"),
                annotations={
                    **said.annotations,
                    "reason": contributor.text("StateReason"),
                },
            )

    def _gone(self, alarm: Fields) -> Iterator[_Said]:
        yield _Said(
            arn=_arn(*alarm.find("AlarmArn")),
            status="resolved",
            at=_time(alarm, "ListedAt"),
            contributor=alarm.text("ContributorId"),
            attributes=alarm.texts("ContributorAttributes"),
            annotations={"reason": "CloudWatch lists it no more"},
        )

    def _alert(self, said: _Said) -> Alert:
        arn, watches = said.arn, said.watched
        identity = {"alarm": arn.arn}
        if said.contributor:
            identity["contributor"] = said.contributor
        labels = {
            **_fitting({**watches.dimensions, **said.attributes}),
            ALARM_ARN: arn.arn,
            "account": arn.account,
            "region": arn.region,
            "namespace": watches.namespace,
            "metric": watches.metric,
            CONTRIBUTOR: said.contributor,
            **said.labels,
        }
        annotations = {
            **said.annotations,
            "expression": watches.expression,
            "threshold": watches.threshold,
        }
        labels = {name: text for name, text in labels.items() if text}
        alert = Alert(
            fingerprint=fingerprint_of(self.source, identity),
            source=self.source,
            name=arn.name,
            status=said.status,
            labels=labels,
            annotations={name: text for name, text in annotations.items() if text},
            starts_at=said.since or said.at,
            ends_at=said.at if said.status == "resolved" else None,
            received_at=self.received_at,
            event_at=said.at,
            links=(arn.link,) if arn.link else (),
            **self.names.fields(labels),
        )
        return bounded(alert)


def _arn(where: str, value: Json) -> AlarmArn:
    arn = alarm_of(storable(value)) if isinstance(value, str) else None
    if arn is None:
        raise WrongField(where, f"expected an alarm's ARN, got {shown(value)}")
    return arn


def _time(fields: Fields, name: str) -> datetime:
    at = _time_or_none(fields, name)
    if at is None:
        raise WrongField(fields.find(name)[0], "expected a time, got nothing")
    return at


def _time_or_none(fields: Fields, name: str) -> datetime | None:
    try:
        return time_in(fields.raw, name)
    except WrongField as wrong:
        raise WrongField(fields.find(name)[0], wrong.problem) from wrong


def _fitting(dimensions: Mapping[str, str]) -> dict[str, str]:
    """The first of them that an alert's labels have room for; the ARN tells which alarm it is."""
    fitting: dict[str, str] = {}
    room = MAX_DIMENSIONS_BYTES
    for name, value in dimensions.items():
        named = f"dimension_{name}" if name in OWN_LABELS else name
        sizes = [len(text.encode()) for text in (named, value)]
        if max(sizes) <= MAX_LABEL_BYTES and sum(sizes) <= room and len(fitting) < MAX_DIMENSIONS:
            room -= sum(sizes)
            fitting[named] = value
    return fitting
