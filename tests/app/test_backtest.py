"""Alerts of the past through the pipeline's own decisions, in the time that they tell."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs

from engine.app.backtest import backtest
from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.replayed import Closing, Replayed
from engine.ports.rows import IncidentFilter
from engine.store.tx import SqlTx
from tests.doubles.declarations import AT, firing
from tests.doubles.written import RESTART, RULES, a_catalog, load_written
from tests.stages.deciding.test_same_history import INVENTORY as DEPENDENCIES
from tests.stages.deciding.test_same_history import RULES as CONDITIONS
from tests.stages.deciding.test_same_history import (
    START,
    Notice,
    alert_of,
    deciding,
    history_of,
    notices,
)

RULE = """language: 1
defaults: {{notify: [team], postmortem: [P1]}}
rules:
  - {rule}
  - {{id: unmatched, description: The rest, severity: P3, group_by: [service], mode: suggest}}
"""


def at(alert: Alert, seconds: float, **changes: object) -> Alert:
    """The alert, received so long after the first."""
    received = AT + timedelta(seconds=seconds)
    times: dict[str, object] = {"received_at": received, "starts_at": received, **changes}
    return structs.replace(alert, **times)


def cleared(alert: Alert, seconds: float) -> Alert:
    received = AT + timedelta(seconds=seconds)
    return structs.replace(alert, received_at=received, status="resolved", ends_at=received)


def replayed(
    folder: Path, rules: str, alerts: Sequence[Alert], closing: Closing | None = None
) -> Replayed:
    catalog = a_catalog(folder, rules, RESTART).active
    return backtest(catalog, iter(alerts), closing or Closing())


def ended(found: Replayed) -> list[tuple[str, str, datetime | None]]:
    return [(each.rule_id, each.status, each.resolved_at) for each in found.incidents]


def test_incidents_with_their_runs_and_what_no_rule_took(tmp_path: Path) -> None:
    down = firing("Down", instance="gpu-07:9100")
    alerts = [at(down, 0), at(down, 10), at(firing("Odd", service="s"), 20), cleared(down, 30)]
    found = replayed(tmp_path, RULES % "approve", alerts)
    assert (found.alerts, found.began, found.ended) == (4, AT, AT + timedelta(seconds=30))
    assert found.dispositions == {"new": 1, "repeat": 1, "unmatched": 1, "resolved": 1}
    by_rule = {each.rule_id: each for each in found.incidents}
    assert set(by_rule) == {"watched", "down", "unmatched"}
    incident = by_rule["down"]
    assert (incident.severity, incident.mode, incident.alerts) == ("P1", "approve", 1)
    assert (incident.opened_at, incident.resolved_at) == (AT, AT + timedelta(seconds=30))
    assert incident.run is not None
    assert (incident.run.playbook_id, incident.run.mode, incident.run.problem) == (
        *("restart", "approve"),
        "",
    )
    assert [each.pages for each in by_rule.values()].count(True) == 1
    assert found.unmatched == {"Odd": 1}


def test_a_run_that_cannot_start_says_why(tmp_path: Path) -> None:
    found = replayed(tmp_path, RULES % "approve", [firing("Down", instance="unknown:1")])
    run = next(each.run for each in found.incidents if each.rule_id == "down")
    assert run is not None
    assert run.problem.startswith("playbook restart can't start")


def test_timers_come_at_their_own_time_between_the_alerts(tmp_path: Path) -> None:
    rule = "{id: slow, description: d, matchers: ['alertname=\"Slow\"'], severity: P2, for: 1m}"
    slow = firing("Slow", service="a")
    text = RULE.format(rule=rule)
    found = replayed(tmp_path, text, [at(slow, 0), at(firing("Odd"), 300)])
    opened = [each.opened_at for each in found.incidents if each.rule_id == "slow"]
    assert opened == [AT + timedelta(minutes=1)]
    # What cleared while it waited was taken all the same.
    found = replayed(tmp_path, text, [at(slow, 0), cleared(slow, 30), at(slow, 40)])
    assert ([each.rule_id for each in found.incidents], found.unmatched) == ([], {})
    assert [(each.rule_id, each.kind, each.alerts) for each in found.waiting] == [
        ("slow", "for", 1)
    ]
    longer = Closing(then=timedelta(minutes=2))
    found = replayed(tmp_path, text, [at(slow, 0), cleared(slow, 30), at(slow, 40)], longer)
    assert [each.opened_at for each in found.incidents] == [AT + timedelta(seconds=100)]
    assert found.ended == AT + timedelta(seconds=160)


def test_an_alert_comes_before_a_timer_of_the_same_moment(tmp_path: Path) -> None:
    odd = firing("Odd", service="a")
    expires = at(odd, 0, expires_at=AT + timedelta(seconds=60))
    later = at(odd, 60, expires_at=AT + timedelta(seconds=600))
    found = replayed(tmp_path, RULES % "approve", [expires, later, at(firing("X"), 61)])
    assert [each.status for each in found.incidents if each.service == "a"] == ["open"]


def test_how_alerts_end_is_chosen(tmp_path: Path) -> None:
    alerts = [at(firing("Odd", service="a"), 0), at(firing("Odd", service="b"), 3600)]
    rules = RULES % "approve"
    as_source = replayed(tmp_path, rules, alerts)
    assert ended(as_source) == [("unmatched", "open", None)] * 2
    after = replayed(tmp_path, rules, alerts, Closing(after=timedelta(minutes=10)))
    assert ended(after) == [
        ("unmatched", "closed", AT + timedelta(minutes=10)),
        ("unmatched", "open", None),
    ]


def test_an_alert_out_of_order_is_decided_at_the_time_of_the_one_before(tmp_path: Path) -> None:
    alerts = [at(firing("Odd", service="a"), 60), at(firing("Odd", service="b"), 0)]
    found = replayed(tmp_path, RULES % "approve", alerts)
    assert found.out_of_order == 1
    assert {each.opened_at for each in found.incidents} == {AT + timedelta(seconds=60)}


def test_a_failing_expression_is_told_once(tmp_path: Path) -> None:
    when = "int(alert.labels.n) > 1"
    rule = f"{{id: many, description: d, when: '{when}', severity: P2}}"
    alerts = [at(firing("Odd", service="a", n="x"), second) for second in (0, 1)]
    alerts.append(at(firing("Odder", service="a", n="x"), 2))
    found = replayed(tmp_path, RULE.format(rule=rule), alerts)
    (failure,) = found.failures
    assert failure.startswith("rule many: when:")


def test_what_was_received_at_once_though_it_happened_long_ago_is_noticed(tmp_path: Path) -> None:
    old = [
        structs.replace(firing("Odd", service=each), starts_at=AT - timedelta(hours=hours))
        for each, hours in (("a", 9), ("b", 1))
    ]
    assert replayed(tmp_path, RULES % "approve", old).is_cramped
    spread = [at(each, 3600 * index) for index, each in enumerate(old)]
    assert not replayed(tmp_path, RULES % "approve", spread).is_cramped


def test_without_alerts_there_is_nothing(tmp_path: Path) -> None:
    found = replayed(tmp_path, RULES % "approve", [])
    assert (found.began, found.alerts, found.incidents) == (None, 0, ())


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("conditional")
    a_catalog(folder, CONDITIONS)
    (folder / "inventory.yaml").write_text(DEPENDENCIES)
    return load_written(folder)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=notices)
def test_a_replay_comes_to_the_same_as_the_engine_over_its_store(
    conditional: Catalog, said: Sequence[Notice]
) -> None:
    """Rules with every condition, alerts and ticks one after the other over the real tables.

    Which of an alert and a timer of the very same moment comes first is told above.
    """
    said = [replace(each, after_s=each.after_s + 0.001) for each in said]  # type: ignore[arg-type]
    with deciding(conditional) as live:
        alerts: list[Alert] = []
        moment = START
        for notice in said:
            moment += timedelta(seconds=notice.after_s)
            alerts.append(alert_of(notice, moment))
        history_of(said, live)
        found = backtest(conditional, iter(alerts), Closing(then=timedelta(minutes=45)))
        assert found.dispositions == {n: c for n, c in live.dispositions.items() if n != "tick"}
        tx = SqlTx(live.connection, lambda: live.at, reading=True)
        expected = [
            (each.number, each.rule_id, each.severity.name, each.status, each.occurrences)
            for each in tx.incidents(IncidentFilter(limit=1000))
        ]
        assert [
            (each.number, each.rule_id, each.severity, each.status, each.alerts)
            for each in found.incidents
        ] == sorted(expected)
