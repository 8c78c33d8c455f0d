"""The actions that playbooks use, as their connectors declare them, and alerts to classify."""

from collections.abc import Mapping
from datetime import UTC, datetime

from connectors.actions import http
from connectors.actions.ssh.actions import READ, RUN
from connectors.probes import llm, prometheus
from engine.core.actions import Declaration
from engine.core.alert import Alert, SeverityHint, fingerprint_of

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACTIONS: Mapping[str, Declaration] = {
    each.name: each
    for each in (READ, RUN, http.DECLARATION, llm.DECLARATION, prometheus.DECLARATION)
}


def firing(name: str, *, severity_hint: SeverityHint = "", **labels: str) -> Alert:
    """A firing alert as a source gives it, before the inventory was asked."""
    everything = {"alertname": name, **labels}
    return Alert(
        fingerprint=fingerprint_of("alertmanager", everything),
        source="alertmanager",
        name=name,
        status="firing",
        labels=everything,
        annotations={},
        starts_at=AT,
        ends_at=None,
        received_at=AT,
        service=labels.get("service", ""),
        environment=labels.get("environment", ""),
        severity_hint=severity_hint,
    )
