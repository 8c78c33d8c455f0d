"""Ticks: what is asked again when a time has come, and what then stays as it is."""

from pathlib import Path

from tests.doubles.ruled import of, ruled, statuses

HEARTBEAT = """
  - id: silent
    description: The watchdog is silent
    matchers: ['alertname="Watchdog"']
    severity: P2
    absent: {for: 10m}
"""


async def test_a_heartbeat_that_stays_away_opens_an_incident_and_its_return_ends_it(
    tmp_path: Path,
) -> None:
    async with ruled(tmp_path, HEARTBEAT) as world:
        for _ in range(5):
            await world.fire("Watchdog", service="prom")
            await world.elapse(240)
        assert await of(world, "silent") == []
        await world.elapse(6 * 60 + 10)
        (incident,) = await of(world, "silent")
        assert (incident.status, incident.service) == ("open", "prom")
        assert incident.title.startswith("The watchdog is silent: nothing came since")
        await world.elapse(3600)
        assert await statuses(world, "silent") == [("open", 1)]
        await world.fire("Watchdog", service="prom")
        assert await statuses(world, "silent") == [("resolved", 0)]


async def test_an_absence_ends_with_its_rule(tmp_path: Path) -> None:
    async with ruled(tmp_path, HEARTBEAT) as world:
        await world.fire("Watchdog", service="prom")
        await world.elapse(11 * 60)
        assert await statuses(world, "silent") == [("open", 1)]
        rules = tmp_path / "catalog" / "rules" / "all.yaml"
        rules.write_text(rules.read_text().replace(HEARTBEAT, ""))
        world.reload()
        await world.elapse(11 * 60)
        assert await statuses(world, "silent") == [("resolved", 0)]
