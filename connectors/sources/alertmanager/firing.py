"""Asks Alertmanagers or Prometheis, at addresses that the operator configured, what fires.

Whether one alert does, and which ones of a group do, where a notice left some out.

Alertmanager: GET /api/v2/alerts, api/v2/openapi.yaml (`getAlerts`); it leaves out what ended.
Prometheus: GET /api/v1/alerts, https://prometheus.io/docs/prometheus/latest/querying/api/#alerts
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import Field, field_validator

from engine.core.alert import Occurrence
from engine.core.json_value import Json, JsonObject
from engine.core.still_firing import Confirmation, combined
from engine.errors import TransientError
from engine.ports.credentials import BasicCredentials, Secret, Section
from engine.ports.file_paths import PresentFile
from engine.ports.http_reads import read

# In the address of a question, which servers take up to 8 KiB of.
MAX_FILTERS = 10
MAX_FILTER_CHARACTERS = 200

Labels = Mapping[str, str]
_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class FiringApiConfig(Section):
    """Where a source can be asked. A pair of replicas is one source with two `urls`."""

    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    speaks: Literal["alertmanager", "prometheus"] = "alertmanager"
    bearer: Secret | None = None
    basic: BasicCredentials | None = None
    ca: PresentFile | None = None
    timeout_s: float = Field(default=3.0, gt=0, le=30)

    @field_validator("urls")
    @classmethod
    def _http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{url!r} is no address; write http://HOST:PORT or https://…")
            # The journal says who was asked.
            if "@" in url:
                raise ValueError("an address holds no user and no password; write them to `basic`")
        return tuple(url.rstrip("/") for url in urls)


async def ask(config: FiringApiConfig, occurrence: Occurrence) -> Confirmation:
    """It fires where one of the replicas says so, and is resolved where all of them do."""
    labels = occurrence.alert.labels
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(config, url, labels)) for url in config.urls]
    return combined(each.result() for each in asked)


async def _ask(config: FiringApiConfig, url: str, labels: Labels) -> Confirmation:
    try:
        alerts = await _alerts(config, url, labels)
    except TransientError as error:
        return Confirmation("cannot_tell", "source", f"{url}: {error}")
    if config.speaks == "alertmanager":
        # It sends the labels that it has, so the same alert has the same ones.
        fires = any(each == labels for each in alerts)
        return Confirmation("firing" if fires else "resolved", "source", f"asked {url}")
    named = [each for each in alerts if each.get("alertname") == labels.get("alertname")]
    if any(each.items() <= labels.items() for each in named):
        return Confirmation("firing", "source", f"asked {url}")
    if named:
        # Relabelling between Prometheus and its receivers may have renamed this very one.
        told = f"{url} has {len(named)} of this name, and none with these labels"
        return Confirmation("cannot_tell", "source", told)
    return Confirmation("resolved", "source", f"asked {url}")


async def alerts_of_group(
    config: FiringApiConfig, receiver: str, group: Labels
) -> Sequence[JsonObject]:
    """What fires and goes to this receiver, as Alertmanager's `gettableAlert`s; twice of a pair.

    None of it is silenced or inhibited. `receiver` "" is any; `group` are labels that all have.
    Raises TransientError where no replica answers.
    """
    asked = {"active": "true", "silenced": "false", "inhibited": "false"}
    if receiver:
        # Both of Python's and Go's expressions take a sign behind a backslash for itself.
        asked["receiver"] = f"^{re.escape(receiver)}$"
    path = f"/api/v2/alerts?{urlencode(asked)}&{_filters(group)}"

    async def ask_one(url: str) -> Sequence[JsonObject] | TransientError:
        try:
            return await asyncio.to_thread(_objects, await _get(config, f"{url}{path}"))
        except TransientError as error:
            return TransientError(f"{url}: {error}")

    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask_one(url)) for url in config.urls]
    answers = [each.result() for each in asking]
    found = [answer for answer in answers if not isinstance(answer, TransientError)]
    if not found:
        raise TransientError("; ".join(map(str, answers)))
    return [each for answer in found for each in answer]


def _objects(body: bytes) -> Sequence[JsonObject]:
    try:
        value: Json = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TransientError(f"the answer isn't alertmanager's ({error!r})") from error
    if not isinstance(value, list):
        raise TransientError("the answer isn't alertmanager's (no list)")
    return [each for each in value if isinstance(each, dict)]


async def _alerts(config: FiringApiConfig, url: str, labels: Labels) -> list[Labels]:
    """The labels of what fires. Raises TransientError for all that can go wrong."""
    path = f"/api/v2/alerts?{_filters(labels)}"
    if config.speaks == "prometheus":
        path = "/api/v1/alerts"
    body = await _get(config, f"{url}{path}")
    try:
        value = json.loads(body)
        found = value if config.speaks == "alertmanager" else value["data"]["alerts"]
        if not isinstance(found, list):
            # An empty object would else say that nothing fires.
            raise TypeError("no list of alerts")
        return [
            {str(name): str(label) for name, label in each["labels"].items()}
            for each in found
            if config.speaks == "alertmanager" or each["state"] == "firing"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TransientError(f"the answer isn't {config.speaks}'s ({error!r})") from error


async def _get(config: FiringApiConfig, url: str) -> bytes:
    headers, basic = {}, None
    if config.bearer is not None:
        headers["authorization"] = f"Bearer {config.bearer.get_secret_value()}"
    if config.basic is not None:
        basic = (config.basic.user, config.basic.password.get_secret_value())
    return await read(url, timeout_s=config.timeout_s, headers=headers, basic=basic, ca=config.ca)


def _filters(labels: Labels) -> str:
    """Matchers that leave few alerts over; which of them it is, their labels tell."""
    usable = [
        (name, value)
        for name, value in sorted(labels.items(), key=lambda each: each[0] != "alertname")
        if _PLAIN_NAME.fullmatch(name)
        and value.isprintable()
        and len(value) <= MAX_FILTER_CHARACTERS
    ]
    return urlencode(
        [
            ("filter", f"{name}={json.dumps(value, ensure_ascii=False)}")
            for name, value in usable[:MAX_FILTERS]
        ]
    )
