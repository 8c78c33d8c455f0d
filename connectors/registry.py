"""Every connector on one page, explicit and typed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from connectors.actions.http import HttpRequest
from connectors.actions.ssh import SshConfig, ssh_actions
from connectors.outside import outside_actions
from connectors.people.emergency import EmergencyConfig, EmergencyWebhook
from connectors.people.slack import SlackApprover, SlackConfig, SlackNotifier
from connectors.probes.llm import LlmComplete, LlmConfig
from connectors.probes.prometheus import PrometheusConfig, PrometheusQuery
from connectors.records.jira import JiraConfig, JiraTracker
from connectors.sources.alertmanager import AlertmanagerConfig, AlertmanagerSource
from connectors.sources.azure_monitor import AzureMonitorConfig, AzureMonitorSource
from connectors.sources.cloud_monitoring import CloudMonitoringConfig, CloudMonitoringSource
from connectors.sources.cloudevents import CloudEventsConfig, CloudEventsSource
from connectors.sources.cloudwatch import CloudwatchConfig, CloudwatchSource
from connectors.sources.grafana import GrafanaConfig, GrafanaSource
from connectors.streams.kafka import (
    KafkaCheckpoints,
    KafkaConfig,
    KafkaStream,
    incident_publisher,
)
from engine.core.actions import Declaration
from engine.core.egress import EgressConfig
from engine.core.findings import nearest
from engine.errors import ConfigError
from engine.ports.action import Action
from engine.ports.emergency import Emergency
from engine.ports.publisher import Publisher
from engine.ports.signer import CheckpointCopy
from engine.ports.source import Source
from engine.ports.stream import ReadableStream

C = TypeVar("C", bound=BaseModel)
P = TypeVar("P", covariant=True)


@dataclass(frozen=True, slots=True)
class Plugin(Generic[C, P]):
    """A connector: what configures it, and what makes it."""

    config: type[C]
    build: Callable[[C], P]


@dataclass(frozen=True, slots=True)
class StreamPlugin(Plugin[C, ReadableStream]):
    """A stream, and what else its brokers keep: incidents for others, copies of checkpoints."""

    publisher: Callable[[C], Publisher | None]
    checkpoints: Callable[[C], CheckpointCopy]


SOURCES: Mapping[str, Plugin[Any, Source]] = {
    "alertmanager": Plugin(AlertmanagerConfig, AlertmanagerSource),
    "azure-monitor": Plugin(AzureMonitorConfig, AzureMonitorSource),
    "cloudevents": Plugin(CloudEventsConfig, CloudEventsSource),
    "grafana": Plugin(GrafanaConfig, GrafanaSource),
    "cloudwatch": Plugin(CloudwatchConfig, CloudwatchSource),
    "cloud-monitoring": Plugin(CloudMonitoringConfig, CloudMonitoringSource),
}
STREAMS: Mapping[str, StreamPlugin[Any]] = {
    "kafka": StreamPlugin(KafkaConfig, KafkaStream, incident_publisher, KafkaCheckpoints),
}
NOTIFIERS = {"slack": Plugin(SlackConfig, SlackNotifier)}
APPROVERS = {"slack": Plugin(SlackConfig, SlackApprover)}
TRACKERS = {"jira": Plugin(JiraConfig, JiraTracker)}
# There is one kind: what works when nothing else does should be simple.
EMERGENCY_CONFIG = EmergencyConfig

# The connections of each kind by name, as one connector's Config.
Connections = Callable[[str, type[C]], Mapping[str, C]]


def find(plugins: Mapping[str, P], kind: str, what: str) -> P:
    """The plug-in of this kind. Raises ConfigError with what there is."""
    if kind not in plugins:
        known = ", ".join(sorted(plugins))
        raise ConfigError(f"unknown {what} {kind!r}{nearest(kind, plugins)}; there is {known}")
    return plugins[kind]


def build_actions(connections: "Connections[Any]", egress: EgressConfig) -> list[Action]:
    """Every action with its connections, those of other packages too.

    Raises ConfigError where one of those doesn't fit, or has the name of another.
    """
    actions: list[Action] = [
        *ssh_actions(connections("ssh", SshConfig)),
        PrometheusQuery(connections("prometheus", PrometheusConfig)),
        LlmComplete(connections("llm", LlmConfig)),
        HttpRequest(egress),
    ]
    known = {action.declaration.name for action in actions}
    for each in outside_actions():
        action = each(connections(each.CONNECTION_KIND, each.CONFIG) if each.CONFIG else {})
        name = action.declaration.name
        if name in known:
            raise ConfigError(f"{each.__module__}:{each.__qualname__}: {name!r} is there already")
        known.add(name)
        actions.append(action)
    return actions


def build_emergency(config: EmergencyConfig, egress: EgressConfig) -> Emergency:
    """The emergency address."""
    return EmergencyWebhook(config, egress)


def declarations() -> Mapping[str, Declaration]:
    """What every action declares, without any connection."""
    return by_name(build_actions(lambda _kind, _config: {}, EgressConfig()))


def by_name(actions: Iterable[Action]) -> dict[str, Declaration]:
    """The declarations by the name that a step `uses`."""
    return {action.declaration.name: action.declaration for action in actions}
