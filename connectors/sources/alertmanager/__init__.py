"""Alerts from Prometheus Alertmanager, or from Prometheus itself."""

from connectors.sources.alertmanager.credentials import BasicCredentials
from connectors.sources.alertmanager.firing import FiringApiConfig
from connectors.sources.alertmanager.source import (
    AlertmanagerConfig,
    AlertmanagerSource,
    LabelNames,
)

__all__ = [
    "AlertmanagerConfig",
    "AlertmanagerSource",
    "BasicCredentials",
    "FiringApiConfig",
    "LabelNames",
]
