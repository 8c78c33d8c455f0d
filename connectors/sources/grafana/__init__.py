"""Alerts from Grafana's own alerting, by its webhook contact point."""

from connectors.sources.grafana.firing import GrafanaApiConfig
from connectors.sources.grafana.source import GrafanaConfig, GrafanaSource

__all__ = ["GrafanaApiConfig", "GrafanaConfig", "GrafanaSource"]
