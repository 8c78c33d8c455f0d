"""Alerts from Azure Monitor's action groups, by the common alert schema."""

from connectors.sources.azure_monitor.config import AlertsApiConfig, AzureMonitorConfig, EntraConfig
from connectors.sources.azure_monitor.source import AzureMonitorSource

__all__ = ["AlertsApiConfig", "AzureMonitorConfig", "AzureMonitorSource", "EntraConfig"]
