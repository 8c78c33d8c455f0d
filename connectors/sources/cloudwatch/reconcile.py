"""Compares with CloudWatch's own list, because SNS tells of each change once and then never again.

Alarms that changed since they were last told are handed on as DescribeAlarms lists them. What is
remembered only saves work: a new process tells again of all that fires, and of what became OK
within the look-back, which are repeats where nothing was missed.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import product
from typing import Any

import structlog

from connectors.sources.cloudwatch.alarms import GONE, LISTS
from connectors.sources.cloudwatch.api import Answer, AwsAccount
from engine.errors import PermanentError
from engine.ports.source import Source, Taker

KINDS = ("MetricAlarm", "CompositeAlarm", "LogAlarm")
# What DescribeAlarms gives, and takes by name, at most.
PAGE = 100
_GROUPED = re.compile(r"\bGROUP\s+BY\b", re.IGNORECASE)

log = structlog.get_logger()

Sleep = Callable[[float], Awaitable[None]]
# An alarm's ARN, and a contributor's id or "".
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Told:
    """What was last told of an alarm or a contributor."""

    state: str
    at: str
    name: str
    attributes: Mapping[str, str]


@dataclass
class AlarmList:
    """The alarms of one account in one region."""

    account: AwsAccount
    region: str
    sleep: Sleep
    _told: dict[Key, _Told] = field(default_factory=dict)

    async def run(self, source: Source, taker: Taker, every_s: float) -> None:
        """Compare again and again, until cancelled. Raises TransientError and PermanentError."""
        while True:
            await self.compare(source, taker)
            await self.sleep(every_s)

    async def compare(self, source: Source, taker: Taker) -> None:
        """Tell of each alarm that isn't as it was last told, and of those that are gone."""
        listed: set[Key] = set()
        listed_at = None
        async for page in self._pages():
            # That of the first page: what fires again while the others are read is newer.
            listed_at = listed_at or _answered_at(page)
            changed: dict[str, list[Mapping[str, Any]]] = {}
            now: dict[Key, _Told] = {}
            for kind in LISTS:
                for alarm in page.get(kind, ()):
                    seen = await self._seen(kind, alarm)
                    listed |= seen.keys()
                    if any(self._told.get(key) != told for key, told in seen.items()):
                        changed.setdefault(kind, []).append(alarm)
                        now |= seen
            if changed:
                await taker.take(source, _body(changed))
                self._told |= now
        missing = {key: told for key, told in self._told.items() if key not in listed}
        there = await self._there({told.name for (_, of), told in missing.items() if not of})
        gone = {key: told for key, told in missing.items() if key[0] not in there}
        firing = [_gone(key, told, listed_at) for key, told in gone.items() if told.state != "OK"]
        if firing:
            await taker.take(source, _body({GONE: firing}))
        for key in gone:
            del self._told[key]

    async def _seen(self, kind: str, alarm: dict[str, Any]) -> dict[Key, _Told]:
        """The alarm and its contributors, which are put beside what is known of it."""
        arn, name = alarm["AlarmArn"], alarm["AlarmName"]
        seen = {(arn, ""): _Told(alarm["StateValue"], str(_changed_at(alarm)), name, {})}
        if alarm["StateValue"] != "ALARM" or not _has_contributors(kind, alarm):
            return seen
        try:
            found = await contributors(self.account, self.region, name)
        except PermanentError as error:
            # An alarm on one series has none; where they may not be listed, they stay as told.
            log.info("contributors_not_listed", alarm=arn, why=str(error))
            return seen | {
                key: told for key, told in self._told.items() if key[0] == arn and key[1]
            }
        alarm["AlarmContributors"] = found
        for each in found:
            at = str(each.get("StateTransitionedTimestamp", ""))
            told = _Told("ALARM", at, name, each["ContributorAttributes"])
            seen[arn, each["ContributorId"]] = told
        return seen

    async def _there(self, names: Collection[str]) -> set[str]:
        """Which of the alarms are there after all: a list that changes may leave one out."""
        there: set[str] = set()
        for first in range(0, len(names), PAGE):
            some = sorted(names)[first : first + PAGE]
            answer = await described(self.account, self.region, some)
            there |= {alarm["AlarmArn"] for kind in LISTS for alarm in answer.get(kind, ())}
        return there

    async def _pages(self) -> AsyncIterator[Answer]:
        config = self.account.config
        for prefix, action in product(
            config.alarm_prefixes or ("",), config.action_prefixes or ("",)
        ):
            chosen = {"AlarmNamePrefix": prefix, "ActionPrefix": action}
            async for page in _paged(
                self.account,
                self.region,
                "describe_alarms",
                AlarmTypes=list(KINDS),
                MaxRecords=PAGE,
                **{name: text for name, text in chosen.items() if text},
            ):
                yield page


async def described(account: AwsAccount, region: str, names: Sequence[str]) -> Answer:
    """The alarms with these names, at most 100. Raises TransientError and PermanentError."""
    return await account.call(
        "cloudwatch",
        region,
        "describe_alarms",
        AlarmNames=list(names),
        AlarmTypes=list(KINDS),
        MaxRecords=PAGE,
    )


async def contributors(account: AwsAccount, region: str, name: str) -> list[Mapping[str, Any]]:
    """The time series that have an alarm in ALARM. Raises TransientError and PermanentError."""
    found: list[Mapping[str, Any]] = []
    async for page in _paged(account, region, "describe_alarm_contributors", AlarmName=name):
        found += page.get("AlarmContributors", ())
    return found


async def _paged(
    account: AwsAccount, region: str, operation: str, **parameters: Any
) -> AsyncIterator[Answer]:
    while True:
        answer = await account.call("cloudwatch", region, operation, **parameters)
        yield answer
        if not answer.get("NextToken"):
            return
        parameters["NextToken"] = answer["NextToken"]


def _gone(key: Key, told: _Told, listed_at: str | None) -> Mapping[str, Any]:
    arn, contributor = key
    return {
        "AlarmArn": arn,
        "ContributorId": contributor,
        "ContributorAttributes": told.attributes,
        "ListedAt": listed_at,
    }


def _changed_at(alarm: Mapping[str, Any]) -> Any:
    return alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")


def _has_contributors(kind: str, alarm: Mapping[str, Any]) -> bool:
    """Whether it may watch several time series, which takes a call each to know."""
    queries = alarm.get("Metrics", ())
    return (
        kind == "LogAlarms"
        or "EvaluationCriteria" in alarm
        or any(_GROUPED.search(query.get("Expression", "")) for query in queries)
    )


def _answered_at(answer: Answer) -> str | None:
    """By AWS's clock, like the alarms' own times; whole seconds, so never after the answer."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return None if date is None else parsedate_to_datetime(date).isoformat()


def _body(lists: Mapping[str, Any]) -> bytes:
    return json.dumps(lists, default=_json).encode()


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
