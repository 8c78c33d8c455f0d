"""What every connector's configuration owes: whatever is secret in it is known once it is read."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from connectors import registry
from connectors.actions.ssh import SshConfig
from connectors.people.slack import SlackConfig
from connectors.probes.llm import LlmConfig
from connectors.probes.prometheus import PrometheusConfig
from connectors.records.jira import JiraConfig
from connectors.sources.alertmanager import AlertmanagerConfig
from connectors.sources.azure_monitor import AzureMonitorConfig
from connectors.sources.cloud_monitoring import CloudMonitoringConfig
from connectors.sources.cloudevents import CloudEventsConfig
from connectors.sources.cloudwatch import CloudwatchConfig
from connectors.sources.grafana import GrafanaConfig
from connectors.streams.kafka import KafkaConfig
from engine.core.egress import EgressConfig
from engine.ports.known_secrets import KNOWN, HoldsSecret
from engine.settings import LoadedSettings, Settings

# Stands for a value that is different at every place, and needs quoting everywhere.
CANARY = "canary"
# The same for what stands in an address.
PLAIN_CANARY = "for-an-address-a-plain-one"
FILE = "a file"
GUID = "00000000-1111-2222-3333-444444444444"

Values = Mapping[str, Any]

# The name is a number, so that the place is the field's own.
SENDERS: Values = {"1": {"bearer": [CANARY], "basic": [{"user": "u", "password": CANARY}]}}

# Together they fill every secret field; a canary stands for itself, `FILE` for a file with one.
EXAMPLES: Mapping[type[BaseModel], Sequence[Values]] = {
    AlertmanagerConfig: [
        {
            "bearer": [CANARY, CANARY],
            "basic": [{"user": "u", "password": CANARY}],
            "senders": SENDERS,
            "api": {
                "urls": ["http://alertmanager.example"],
                "bearer": CANARY,
                "basic": {"user": "u", "password": CANARY},
            },
        },
    ],
    AzureMonitorConfig: [
        {
            "url_tokens": [PLAIN_CANARY],
            "senders": SENDERS,
            "bearer": [CANARY],
            "basic": [{"user": "u", "password": CANARY}],
            "api": {
                "subscriptions": [GUID],
                "sign_in": "client_secret",
                "tenant": GUID,
                "client_id": GUID,
                "client_secret": CANARY,
            },
        },
        {"api": {"subscriptions": [GUID], "token_file": FILE}},
    ],
    CloudEventsConfig: [
        {
            "bearer": [CANARY],
            "basic": [{"user": "u", "password": CANARY}],
            "hmac": {"secrets": [CANARY], "header": "x-signature"},
            "senders": SENDERS,
        },
    ],
    GrafanaConfig: [
        {
            "bearer": [CANARY],
            "basic": [{"user": "u", "password": CANARY}],
            "hmac": {"secrets": [CANARY]},
            "senders": SENDERS,
            "api": {"url": "http://grafana.example", "token": CANARY},
        },
    ],
    CloudMonitoringConfig: [
        {
            "tokens": [PLAIN_CANARY],
            "basic": [{"user": "u", "password": CANARY}],
            "credentials_file": FILE,
        },
    ],
    # Its credentials are boto3's own.
    CloudwatchConfig: [{"topics": ["arn:aws:sns:eu-central-1:123456789012:alarms"]}],
    KafkaConfig: [
        {
            "bootstrap_servers": ["kafka:9092"],
            "security": {
                "tls": {"certificate": FILE, "key": FILE},
                "sasl": {"mechanism": "SCRAM-SHA-512", "user": "u", "password": CANARY},
            },
        },
        {
            "bootstrap_servers": ["kafka:9092"],
            "security": {
                "tls": {},
                "sasl": {
                    "mechanism": "OAUTHBEARER",
                    "token_url": "https://idp.example/token",
                    "client_id": "quell",
                    "client_secret": CANARY,
                },
            },
        },
    ],
    SlackConfig: [
        {"app_token": f"xapp-{CANARY}", "bot_token": f"xoxb-{CANARY}", "channel": "C1"},
    ],
    JiraConfig: [{"url": "https://jira.example", "token": CANARY, "project": "OPS"}],
    SshConfig: [{"user": "quell", "known_hosts": "known_hosts", "client_key": FILE}],
    PrometheusConfig: [
        {"url": "http://prometheus.example", "token": CANARY},
        {"url": "http://prometheus.example", "user": "u", "password": CANARY},
    ],
    LlmConfig: [{"api_key": CANARY}],
}
SECRET_NAME = re.compile("pass|secret|token|key|credential")
# Each says why it is no secret.
NAMED_LIKE_A_SECRET = {
    "token_url": "where tokens are had",
    "keys": "where an issuer publishes its keys",
    "keys_url": "where an issuer publishes its keys",
}


def configs() -> list[type[BaseModel]]:
    """Every connector's, from the registry itself."""
    listed: list[Mapping[str, registry.Plugin[Any, Any]]] = [
        registry.SOURCES,
        registry.STREAMS,
        registry.NOTIFIERS,
        registry.APPROVERS,
        registry.TRACKERS,
    ]
    found = [plugin.config for plugins in listed for plugin in plugins.values()]

    def note(_: str, config: type[BaseModel]) -> Mapping[str, BaseModel]:
        found.append(config)
        return {}

    registry.build_actions(note, EgressConfig())
    return list(dict.fromkeys(found))


def types_in(annotation: object) -> Iterator[object]:
    """All types that an annotation names, however they are nested."""
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for each in arguments:
        yield from types_in(each)


def models(config: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model, and those of its fields."""
    yield config
    for field in config.model_fields.values():
        for found in types_in(field.annotation):
            if isinstance(found, type) and issubclass(found, BaseModel):
                yield from models(found)


def secret_fields(config: type[BaseModel], place: str = "") -> set[str]:
    """The places of all secrets in a configuration, whichever branches of unions they are in."""
    found = set()
    for name, field in config.model_fields.items():
        here = f"{place}.{name}"
        inside = set(types_in(field.annotation))
        if {SecretStr, SecretBytes} & inside:
            found.add(here)
        if any(isinstance(each, HoldsSecret) for each in field.metadata):
            found.add(here)
        for each in inside:
            if isinstance(each, type) and issubclass(each, BaseModel):
                found |= secret_fields(each, here)
    return found


def canary(place: str) -> str:
    return plain_canary(place) + "/+=\"%&' ä"


def plain_canary(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def with_canary(value: str, place: str) -> str:
    return value.replace(PLAIN_CANARY, plain_canary(place)).replace(CANARY, canary(place))


def filled(value: Any, place: str, folder: Path) -> Any:
    """An example's values with a canary at each place."""
    if isinstance(value, Mapping):
        return {name: filled(each, f"{place}.{name}", folder) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, f"{place}.{at}", folder) for at, each in enumerate(value)]
    if value == FILE:
        (folder / place).write_text(canary(place))
        return place
    return with_canary(value, place) if isinstance(value, str) else value


def secrets_of(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """The place of each secret, and the secret."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from secrets_of(each, f"{place}.{name}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from secrets_of(each, f"{place}.{at}")
    elif value == FILE:
        yield place, canary(place)
    elif isinstance(value, str) and (CANARY in value or PLAIN_CANARY in value):
        yield place, with_canary(value, place)


@pytest.mark.parametrize("config", configs(), ids=lambda each: each.__name__)
def test_every_secret_is_known_by_its_place_once_it_is_configured(
    config: type[BaseModel], tmp_path: Path
) -> None:
    loaded = LoadedSettings(Settings(), str(tmp_path / "quell.yaml"), None)
    for example in EXAMPLES[config]:
        KNOWN.forget()
        loaded.configure(config, ("part", "of", "it"), filled(example, "part.of.it", tmp_path))
        for place, secret in secrets_of(example, "part.of.it"):
            assert KNOWN.masker.found(f"<{secret}>") == place
            assert secret[8:] not in KNOWN.mask(f"<{secret}>")


@pytest.mark.parametrize("config", configs(), ids=lambda each: each.__name__)
def test_the_examples_fill_every_secret_field(config: type[BaseModel]) -> None:
    places = [place for example in EXAMPLES[config] for place, _ in secrets_of(example, "")]
    assert secret_fields(config) == {re.sub(r"\.\d+", "", place) for place in places}


@pytest.mark.parametrize("config", configs(), ids=lambda each: each.__name__)
def test_what_is_named_like_a_secret_is_one(config: type[BaseModel]) -> None:
    found = {
        name
        for model in models(config)
        for name in model.model_fields
        if SECRET_NAME.search(name) and name not in NAMED_LIKE_A_SECRET
    }
    assert found <= {place.rpartition(".")[2] for place in secret_fields(config)}


@pytest.mark.parametrize("config", configs(), ids=lambda each: each.__name__)
def test_what_is_wrong_with_it_is_told_without_its_values(config: type[BaseModel]) -> None:
    for model in models(config):
        with pytest.raises(ValidationError) as caught:
            model.model_validate({"nothing-of-the-kind": CANARY})
        assert CANARY not in str(caught.value)


class Forgetful(BaseModel):
    """What the tests above would find."""

    api_token: str
    nested: tuple[SlackConfig, ...] = ()


def test_the_tests_above_can_fail() -> None:
    assert secret_fields(Forgetful) == {".nested.app_token", ".nested.bot_token"}
    assert [each.__name__ for each in models(Forgetful)] == ["Forgetful", "SlackConfig"]
    with pytest.raises(AssertionError):
        test_what_is_named_like_a_secret_is_one(Forgetful)
    with pytest.raises(AssertionError):
        test_what_is_wrong_with_it_is_told_without_its_values(Forgetful)
