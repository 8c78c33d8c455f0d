"""Alerts from Prometheus Alertmanager, or from Prometheus itself."""

from connectors.sources.alertmanager.firing import FiringApiConfig
from connectors.sources.alertmanager.source import AlertmanagerConfig, AlertmanagerSource

__all__ = ["AlertmanagerConfig", "AlertmanagerSource", "FiringApiConfig"]
