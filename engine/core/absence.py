"""The alert that quell raises where a heartbeat stays away."""

from datetime import datetime
from typing import Any

from msgspec import structs

from engine.core.alert import Alert, fingerprint_of
from engine.core.classify import GROUP_FIELDS
from engine.core.conditions import GroupState
from engine.core.progress import OWN_SOURCE
from engine.core.rule import Rule


def absence_fingerprint(state: GroupState) -> str:
    """Of one group of one rule."""
    return fingerprint_of(OWN_SOURCE, {"rule": state.rule_id, **dict(state.values)})


def absence_alert(state: GroupState, rule: Rule | None, at: datetime) -> Alert:
    """It has what `group_by` names, and nothing else of the heartbeats."""
    heard_at = state.heard_at or at
    described = rule.description if rule is not None else state.rule_id
    since = f"{heard_at:%Y-%m-%d %H:%M:%S} UTC"
    alert = Alert(
        fingerprint=absence_fingerprint(state),
        source=OWN_SOURCE,
        name=state.rule_id,
        status="firing",
        labels={"alertname": state.rule_id, **dict(state.values)},
        annotations={"summary": f"{described}: nothing came since {since}"},
        starts_at=heard_at,
        ends_at=None,
        received_at=at,
    )
    known: dict[str, Any] = {n: value for n, value in state.values.items() if n in GROUP_FIELDS}
    return structs.replace(alert, **known)
