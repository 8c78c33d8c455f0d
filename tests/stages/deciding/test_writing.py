"""An incident's part of a batch: whether it is over, and how severe it has become."""

from datetime import timedelta
from pathlib import Path

from engine.core import events
from tests.doubles.ruled import ruled, statuses

FLAPPING = """
  - id: flaky
    description: Flaky
    matchers: ['alertname="Flaky"']
    severity: P3
    flapping: {at_least: 3, within: 30m, stable_for: 15m}
"""


async def test_what_flaps_stays_open_until_it_was_stable(tmp_path: Path) -> None:
    async with ruled(tmp_path, FLAPPING) as world:
        for _ in range(2):
            await world.fire("Flaky", service="s")
            await world.elapse(120)
            await world.resolve("Flaky", service="s")
            assert await statuses(world, "flaky") == [("resolved", 0)]
            await world.elapse(120)
        await world.fire("Flaky", service="s")
        await world.elapse(60)
        await world.resolve("Flaky", service="s")
        assert await statuses(world, "flaky") == [("open", 0)]
        await world.elapse(10 * 60)
        await world.fire("Flaky", service="s")
        await world.elapse(60)
        await world.resolve("Flaky", service="s")
        await world.elapse(14 * 60)
        assert await statuses(world, "flaky") == [("open", 0)]
        await world.elapse(2 * 60)
        assert await statuses(world, "flaky") == [("resolved", 0)]
        told = await world.told(events.IncidentFlapping, "flaky")
        assert [(each.started, each.stable_for_s) for each in told] == [(3, 900.0)]


ESCALATED = """
  - id: down
    description: Down
    matchers: ['alertname="Down"']
    severity: P3
    escalate: [{firing: 3, is: P2}, {after: 1h, is: P1}]
"""


async def test_an_incident_that_grows_or_lasts_becomes_more_severe(tmp_path: Path) -> None:
    async with ruled(tmp_path, ESCALATED) as world:
        for instance in ("a", "b"):
            await world.fire("Down", service="s", instance=instance)
        assert (await world.incident()).severity.name == "P3"
        await world.fire("Down", service="s", instance="c")
        assert (await world.incident()).severity.name == "P2"
        for instance in ("a", "b"):
            await world.resolve("Down", service="s", instance=instance)
        assert (await world.incident()).severity.name == "P2"  # it never falls
        await world.elapse(timedelta(hours=1).total_seconds())
        incident = await world.incident()
        assert (incident.severity.name, incident.wants_postmortem) == ("P1", True)
        told = await world.told(events.SeverityRaised)
        assert [(each.severity, each.reason) for each in told] == [
            ("P2", "3 alerts fire"),
            ("P1", "open for 1h"),
        ]


GRADED = """
  - id: leak
    description: Leak
    matchers: ['alertname="Leak"']
    severity: [{when: 'alert.labels.severity == "critical"', is: P1}, {is: P3}]
    group_by: [service]
"""


async def test_a_graver_alert_makes_the_incident_that_it_joins_as_severe(tmp_path: Path) -> None:
    async with ruled(tmp_path, GRADED) as world:
        await world.fire("Leak", service="s", severity="warning")
        assert (await world.incident("leak")).severity.name == "P3"
        await world.fire("Leak", service="s", severity="critical")
        incident = await world.incident("leak")
        assert (incident.severity.name, incident.wants_postmortem) == ("P1", True)
        await world.resolve("Leak", service="s", severity="critical")
        await world.fire("Leak", service="s", severity="info")
        assert (await world.incident("leak")).severity.name == "P1"  # it never falls
        told = await world.told(events.SeverityRaised, "leak")
        assert [(each.severity, each.reason) for each in told] == [
            ("P1", "Leak joined, which is graver")
        ]
