from datetime import UTC, datetime

from engine.core.absence import absence_alert
from engine.core.conditions import GroupState

HEARD = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_it_has_the_values_of_its_group_and_says_since_when() -> None:
    state = GroupState(
        "g", rule_id="silent", values={"service": "prom", "zone": "a"}, heard_at=HEARD
    )
    alert = absence_alert(state, None, HEARD)
    assert (alert.source, alert.name, alert.service) == ("quell", "silent", "prom")
    assert alert.labels == {"alertname": "silent", "service": "prom", "zone": "a"}
    assert alert.annotations["summary"] == "silent: nothing came since 2026-01-02 03:04:05 UTC"
    other = GroupState("h", rule_id="silent", values={"service": "other"}, heard_at=HEARD)
    assert absence_alert(other, None, HEARD).fingerprint != alert.fingerprint
