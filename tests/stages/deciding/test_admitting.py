"""When rules act: after a time, with others, not while something else explains the alert."""

from pathlib import Path

import pytest

from engine.core import events
from tests.doubles.ruled import of, ruled, statuses

FOR = """
  - {id: slow, description: Slow, matchers: ['alertname="Slow"'], severity: P3, for: 1m}
"""


async def test_for_acts_once_the_alert_has_fired_so_long(tmp_path: Path) -> None:
    async with ruled(tmp_path, FOR) as world:
        await world.intake.accept("alertmanager", [world.alert("Slow", {"service": "a"})], 0)
        assert dict(await world.consume()) == {"suppressed": 1}
        await world.elapse(59)
        assert await of(world, "slow") == []
        await world.fire("Slow", service="a")  # a repeat changes nothing of when it began
        await world.elapse(2)
        (incident,) = await of(world, "slow")
        assert (incident.open_count, incident.service) == (1, "a")
        await world.resolve("Slow", service="a")
        assert await statuses(world, "slow") == [("resolved", 0)]


async def test_what_clears_before_opens_nothing_and_begins_anew(tmp_path: Path) -> None:
    async with ruled(tmp_path, FOR) as world:
        await world.fire("Slow", service="a")
        await world.elapse(50)
        await world.resolve("Slow", service="a")
        await world.elapse(5)
        await world.fire("Slow", service="a")
        await world.elapse(58)
        assert await of(world, "slow") == []
        assert await world.held() == [("slow", "for")]
        await world.elapse(3)
        assert await statuses(world, "slow") == [("open", 1)]
        assert await world.held() == []


WINDOW = """
  - id: many
    description: Several at once
    matchers: ['alertname="Down"']
    severity: P2
    window: {at_least: 3, distinct: instance, within: 5m}
"""


async def test_a_window_acts_for_all_that_wait_once_there_are_enough(tmp_path: Path) -> None:
    async with ruled(tmp_path, WINDOW) as world:
        for instance in ("a", "b", "b2"):
            await world.fire("Down", service="s", instance=instance.rstrip("2"))
            await world.elapse(10)
        assert await of(world, "many") == []
        await world.fire("Down", service="other", instance="c")
        assert await of(world, "many") == []
        await world.fire("Down", service="s", instance="c")
        assert await statuses(world, "many") == [("open", 3)]
        # What comes while it is open belongs to it at once.
        await world.fire("Down", service="s", instance="d")
        assert await statuses(world, "many") == [("open", 4)]
        assert await world.held() == [("many", "window")]  # of the other service


async def test_what_was_counted_too_long_ago_counts_no_more(tmp_path: Path) -> None:
    async with ruled(tmp_path, WINDOW) as world:
        await world.fire("Down", service="s", instance="a")
        await world.elapse(200)
        await world.fire("Down", service="s", instance="b")
        await world.elapse(200)
        await world.fire("Down", service="s", instance="c")
        assert await of(world, "many") == []
        await world.fire("Down", service="s", instance="d")
        assert await statuses(world, "many") == [("open", 4)]


async def test_a_window_of_alerts_counts_repeats_too(tmp_path: Path) -> None:
    counted = WINDOW.replace("distinct: instance, ", "of: alerts, ")
    async with ruled(tmp_path, counted) as world:
        for _ in range(2):
            await world.fire("Down", service="s")
            await world.elapse(60)
        assert await of(world, "many") == []
        await world.fire("Down", service="s")
        assert await statuses(world, "many") == [("open", 1)]


ALL_OF = """
  - id: both
    description: The gateway fails and its database is slow
    all_of: {within: 5m, alerts: [['alertname="Errors"'], ['alertname="DbSlow"']]}
    severity: P1
"""


async def test_all_of_acts_once_each_of_its_alerts_came(tmp_path: Path) -> None:
    async with ruled(tmp_path, ALL_OF) as world:
        await world.fire("Errors", service="s")
        await world.elapse(3600)
        assert await of(world, "both") == []
        # It still fires, though nobody repeated it.
        await world.fire("DbSlow", service="s")
        assert await statuses(world, "both") == [("open", 2)]


@pytest.mark.parametrize(("pause", "acts"), [(290, True), (310, False)])
async def test_an_alert_of_all_of_that_ended_counts_for_a_while(
    tmp_path: Path, pause: float, acts: bool
) -> None:
    async with ruled(tmp_path, ALL_OF) as world:
        await world.fire("Errors", service="s")
        await world.elapse(600)
        await world.resolve("Errors", service="s")
        await world.elapse(pause)
        await world.fire("DbSlow", service="s")
        assert await statuses(world, "both") == ([("open", 1)] if acts else [])


INHIBITED = """
  - {id: region, description: A region is out, matchers: ['alertname="RegionOutage"'], severity: P1}
  - id: down
    description: Down
    matchers: ['alertname="Down"']
    severity: P2
    inhibited_by: {matchers: ['alertname="RegionOutage"'], equal: [region]}
"""


async def test_an_inhibited_alert_waits_until_what_inhibits_it_ends(tmp_path: Path) -> None:
    async with ruled(tmp_path, INHIBITED) as world:
        await world.fire("RegionOutage", service="r", region="fra")
        await world.fire("Down", service="a", region="fra")
        await world.fire("Down", service="b", region="ams")
        assert [each.service for each in await of(world, "down")] == ["b"]
        await world.fire("RegionOutage", service="r2", region="fra")
        await world.resolve("RegionOutage", service="r", region="fra")
        await world.elapse(60)
        assert [each.service for each in await of(world, "down")] == ["b"]  # the other one fires
        await world.resolve("RegionOutage", service="r2", region="fra")
        await world.elapse(1)
        assert [each.service for each in await of(world, "down")] == ["b", "a"]


async def test_what_is_itself_of_the_kind_that_inhibits_acts(tmp_path: Path) -> None:
    rules = INHIBITED.replace(
        "'alertname=\"RegionOutage\"'], severity: P1}", "'x=\"y\"'], severity: P1}"
    )
    own = rules.replace(
        """['alertname="RegionOutage"'], equal""", """['alertname="Down"'], equal"""
    )
    async with ruled(tmp_path, own) as world:
        await world.fire("Down", service="a", region="fra")
        await world.fire("Down", service="b", region="fra")
        assert len(await of(world, "down")) == 2


TOPOLOGY = """
  - id: gateway
    description: The gateway is down
    matchers: ['alertname="GatewayDown"']
    severity: P1
    absorbs: dependants
  - id: endpoint
    description: An endpoint is down
    matchers: ['alertname="EndpointDown"']
    severity: P2
    absorbed_by: dependencies
"""
SERVICES = """  gw: {}
  llm: {depends_on: [gw]}
  chat: {depends_on: [llm]}
  other: {}
"""


async def test_dependants_of_a_root_cause_wait_until_some_time_after_it(tmp_path: Path) -> None:
    async with ruled(tmp_path, TOPOLOGY, SERVICES) as world:
        await world.fire("GatewayDown", service="gw")
        for service in ("llm", "chat", "other"):
            await world.fire("EndpointDown", service=service)
        assert [each.service for each in await of(world, "endpoint")] == ["other"]
        await world.resolve("EndpointDown", service="llm")
        await world.resolve("GatewayDown", service="gw")
        await world.elapse(4 * 60)
        assert [each.service for each in await of(world, "endpoint")] == ["other"]
        # What still fires after that is its own trouble.
        await world.elapse(2 * 60)
        assert [each.service for each in await of(world, "endpoint")] == ["other", "chat"]


async def test_a_root_cause_that_comes_last_absorbs_what_is_open(tmp_path: Path) -> None:
    async with ruled(tmp_path, TOPOLOGY, SERVICES) as world:
        for service in ("llm", "chat", "other"):
            await world.fire("EndpointDown", service=service)
        await world.fire("GatewayDown", service="gw")
        await world.elapse(15)
        (gateway,) = await of(world, "gateway")
        told = {
            each.service: (each.status, each.absorbed_by) for each in await of(world, "endpoint")
        }
        absorbed = ("closed", gateway.name)
        assert told == {"llm": absorbed, "chat": absorbed, "other": ("open", "")}
        story = await world.story((await of(world, "endpoint"))[0])
        assert [event.KIND for event in story if not isinstance(event, events.MessageSent)] == [
            "incident.opened@1",
            "occurrence.joined@1",
            "occurrence.absorbed@1",
            "incident.absorbed@1",
        ]
        # They were held, not lost.
        await world.resolve("EndpointDown", service="llm")
        await world.resolve("GatewayDown", service="gw")
        await world.elapse(6 * 60)
        again = [each for each in await of(world, "endpoint") if each.status == "open"]
        assert [each.service for each in again] == ["other", "chat"]
        closed = {e.service: e.id for e in await of(world, "endpoint") if e.status == "closed"}
        assert again[1].previous_id == closed["chat"]


@pytest.mark.parametrize("root_comes", ["first", "last"])
async def test_one_failure_under_a_thousand_services_is_one_incident(
    tmp_path: Path, root_comes: str
) -> None:
    # Each needs one or two before it, so all need the gateway in the end.
    services = "  gw: {}\n" + "".join(
        f"  s{n}: {{depends_on: [{'gw' if n < 10 else f's{n // 10}, s{n // 7}'}]}}\n"
        for n in range(1, 1000)
    )
    async with ruled(tmp_path, TOPOLOGY, services) as world:
        alerts = [world.alert("EndpointDown", {"service": f"s{n}"}) for n in range(1, 1000)]
        place = 0 if root_comes == "first" else len(alerts)
        alerts.insert(place, world.alert("GatewayDown", {"service": "gw"}))
        for start in range(0, len(alerts), 100):
            await world.intake.accept("alertmanager", alerts[start : start + 100], 0)
        await world.settle("tick")
        await world.settle("tick")
        world.clock.advance(15)
        await world.settle("tick")
        still_open = [each for each in await world.incidents() if each.status == "open"]
        assert [each.rule_id for each in still_open] == ["gateway"]
