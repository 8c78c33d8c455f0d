"""Alerts from Google Cloud Monitoring (Stackdriver): by webhook, by Pub/Sub push and pull."""

from connectors.sources.cloud_monitoring.config import (
    AlertsApiConfig,
    CloudMonitoringConfig,
    PullConfig,
    PushConfig,
)
from connectors.sources.cloud_monitoring.source import CloudMonitoringSource

__all__ = [
    "AlertsApiConfig",
    "CloudMonitoringConfig",
    "CloudMonitoringSource",
    "PullConfig",
    "PushConfig",
]
