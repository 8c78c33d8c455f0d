"""CloudEvents: notices of quell's own shape, and any other JSON by a mapping."""

from connectors.sources.cloudevents.source import CloudEventsConfig, CloudEventsSource

__all__ = ["CloudEventsConfig", "CloudEventsSource"]
