"""An incident that waits for approval, as SlackNotifier is given it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from connectors.people.slack import SlackConfig
from engine.core.incident_view import ApprovalView, IncidentView
from tests.doubles.slack_server import SlackServer

APPROVAL = ApprovalView(
    id="approvalapprovalapprovala1",
    plan_hash="ab" * 32,
    commands=("ssh gpu-07: sudo systemctl restart vllm", "ssh gpu-07: rm -- /tmp/vllm.lock"),
    rollback=(),
    verification=("llm.complete gpu-07 until result.ok",),
    ask=("role:oncall", "user:slack:T1/U2"),
    expires_at=datetime(2026, 3, 1, 12, 10, tzinfo=UTC),
)
VIEW = IncidentView(
    incident_id="incidentincidentincident12",
    name="INC-12",
    severity="P1",
    status="open",
    phase="awaiting_approval",
    title="llm-70b does not answer",
    rule_id="vllm-not-answering",
    service="llm-70b",
    environment="production",
    mode="approve",
    mode_decided_by="policy ceiling 1",
    evidence=(("ssh gpu-07: nvidia-smi", "GPU 0: 79 GiB of 80 GiB used"),),
    lines=("12:00:00 opened as P1", "12:00:02 plan made"),
    outcome="",
    outcome_reason="",
    ticket_url="",
    approval=APPROVAL,
    revision=4,
)


def view(approval: dict[str, Any] | None = None, **changes: Any) -> IncidentView:
    """The incident with these changes; `approval` changes its request for approval."""
    if approval is not None:
        changes["approval"] = replace(APPROVAL, **approval)
    return replace(VIEW, **changes)


def config(slack: SlackServer, **changes: Any) -> SlackConfig:
    values: dict[str, Any] = {
        "app_token": SecretStr(slack.app_token),
        "bot_token": SecretStr(slack.bot_token),
        "channel": "C1",
        "base_url": slack.base_url,
    }
    return SlackConfig(**(values | changes))
