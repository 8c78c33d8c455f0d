"""One batch: every record gets one disposition, and the position moves with what follows."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from engine.core import events
from engine.core.alert import Alert
from engine.core.events.event import TITLE_LIMIT
from engine.core.incident import REOPEN_WITHIN
from engine.core.journal import MAX_BODY_BYTES
from engine.core.records import Tick, encode_alert, encode_tick
from engine.core.retention import Retention
from engine.errors import FencedError
from engine.ports.stream import Batch, Message, Record
from engine.stages.deciding import decide
from engine.stages.deciding.writing import ALERTS_IN_AN_ENTRY
from tests.doubles.world import World, a_world
from tests.doubles.written import RULES


def a_batch(*alerts: Alert, offset: int = 0) -> Batch:
    records = [
        Record(0, offset + place, alert.partition_key, encode_alert(alert))
        for place, alert in enumerate(alerts)
    ]
    return Batch(0, records)


async def test_the_same_batch_twice_changes_nothing(world: World) -> None:
    batch = a_batch(world.alert())
    await world.decide(batch, 0)
    before = await world.store.read(lambda tx: (tx.heads(), tx.counters()))
    with pytest.raises(FencedError):
        await world.decide(batch, 0)
    after = await world.store.read(lambda tx: (tx.heads(), tx.counters()))
    assert after == before
    assert len(await world.incidents()) == 2


async def test_a_first_alert_opens_an_incident_and_its_one_run(world: World) -> None:
    decided = await world.decide(a_batch(world.alert()), 0)
    incident = await world.incident()
    assert dict(decided.dispositions) == {"new": 1}
    assert (incident.number, incident.severity.name, incident.service) == (2, "P1", "llm")
    assert incident.group == {"target": "gpu-07"}
    assert [event.KIND for event in await world.story(incident)] == [
        "incident.opened@1",
        "occurrence.joined@1",
        "run.created@1",
    ]
    (run,) = await world.told(events.RunCreated)
    assert run.parameters == {"host": "gpu-07"}
    assert list(await world.tasks("run")) == [f"run/{run.run_id}"]


async def test_an_observing_rule_never_takes_an_alert_from_the_next(world: World) -> None:
    await world.decide(a_batch(world.alert("Slow")), 0)
    assert [each.rule_id for each in await world.incidents()] == ["watched", "unmatched"]


async def test_what_only_the_catch_all_takes_counts_as_unmatched(world: World) -> None:
    decided = await world.decide(a_batch(world.alert("FanNoisy"), world.alert("DoorOpen")), 0)
    assert dict(decided.dispositions) == {"unmatched": 2}
    incident = await world.incident("unmatched")
    assert incident.occurrences == 2
    assert await world.told(events.RunCreated, "unmatched") == []


async def test_duplicates_of_an_ha_pair_and_repeats_are_one_occurrence(world: World) -> None:
    alert = world.alert()
    world.clock.advance(1)
    other = world.alert()  # the same labels, another startsAt
    decided = await world.decide(a_batch(alert, other), 0)
    world.clock.advance(60)
    later = await world.decide(a_batch(world.alert(), offset=2), 2)
    assert dict(decided.dispositions) == {"new": 1, "repeat": 1}
    assert dict(later.dispositions) == {"repeat": 1}
    incident = await world.incident()
    assert incident.occurrences == 1
    assert len(await world.told(events.RunCreated)) == 1


async def test_alerts_of_one_group_join_one_incident(world: World) -> None:
    await world.decide(
        a_batch(world.alert("Down", {"gpu": "0"}), world.alert("Down", {"gpu": "1"})), 0
    )
    incident = await world.incident()
    assert incident.open_count == 2
    (joined,) = await world.told(events.OccurrenceJoined)
    assert [each["name"] for each in joined.alerts] == ["Down", "Down"]
    assert len(await world.told(events.RunCreated)) == 1


async def test_hosts_that_the_inventory_does_not_know_are_not_one_incident(world: World) -> None:
    alerts = [world.alert("Down", {"instance": f"10.0.0.{n}:9100"}) for n in (1, 2)]
    await world.decide(a_batch(*alerts), 0)
    down = [each for each in await world.incidents() if each.rule_id == "down"]
    assert [each.group for each in down] == [
        {"target": "10.0.0.1:9100"},
        {"target": "10.0.0.2:9100"},
    ]


async def test_parameters_that_do_not_fit_end_the_run_with_the_reason(world: World) -> None:
    await world.decide(a_batch(world.alert("Down", {"instance": "strange:9100"})), 0)
    (ended,) = await world.told(events.RunEnded)
    assert ended.outcome == "failed"
    assert "restart can't start" in ended.reason
    assert "host" in ended.reason
    assert (await world.incident()).phase == "needs_person"
    await world.settle()
    assert world.mend.calls == []


async def test_all_resolved_resolves_the_incident_and_time_closes_it(world: World) -> None:
    await world.fire(gpu="0")
    await world.fire(gpu="1")
    world.clock.advance(60)
    await world.resolve(gpu="0")
    assert (await world.incident()).status == "open"
    await world.resolve(gpu="1")
    incident = await world.incident()
    assert (incident.status, incident.resolved_at) == ("resolved", world.clock.at)
    await world.elapse(REOPEN_WITHIN.total_seconds() - 1)
    assert (await world.incident()).status == "resolved"
    await world.elapse(2)
    assert (await world.incident()).status == "closed"
    assert await world.tasks() == {}


async def test_an_alert_within_half_an_hour_reopens_the_same_incident(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    await world.elapse(29 * 60)
    await world.fire()
    incident = await world.incident()
    assert (incident.status, incident.occurrences) == ("open", 2)
    await world.elapse(REOPEN_WITHIN.total_seconds() * 2)
    assert (await world.incident()).status == "open"
    assert len(await world.told(events.RunCreated)) == 1


async def test_an_alert_after_it_closed_opens_a_new_incident(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    await world.elapse(REOPEN_WITHIN.total_seconds() + 1)
    await world.fire()
    down = [each for each in await world.incidents() if each.rule_id == "down"]
    assert [each.status for each in down] == ["closed", "open"]
    assert down[0].run_id != down[1].run_id


async def test_closing_and_firing_in_one_batch_opens_a_new_incident(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    incident = await world.incident()
    world.clock.advance(REOPEN_WITHIN.total_seconds())
    key, now = incident.partition_key, world.clock.now()
    tick = Tick("incident_close", incident.id, now)
    await world.stream.append(
        [Message(key, encode_tick(tick, now)), Message(key, encode_alert(world.alert()))]
    )
    await world.consume()
    down = [each for each in await world.incidents() if each.rule_id == "down"]
    assert [each.status for each in down] == ["closed", "open"]
    assert [each.open_count for each in down] == [0, 1]


async def test_a_late_tick_does_not_close_what_resolved_again_since(world: World) -> None:
    await world.fire()
    world.clock.advance(60)
    await world.resolve()
    first = await world.incident()
    assert first.resolved_at is not None
    due = first.resolved_at + REOPEN_WITHIN
    world.clock.advance(29 * 60)
    await world.fire()
    world.clock.advance(50)
    await world.resolve()
    tick = encode_tick(Tick("incident_close", first.id, due), due)
    await world.stream.append([Message(first.partition_key, tick)])
    await world.consume()
    assert (await world.incident()).status == "resolved"


async def test_an_expiry_closes_the_occurrence_unless_it_was_refreshed(world: World) -> None:
    async def fire() -> None:
        expires_at = world.clock.now() + timedelta(minutes=5)
        await world.send(world.alert(expires_at=expires_at))

    await fire()
    await world.elapse(4 * 60)
    await fire()
    await world.elapse(4 * 60)
    assert (await world.incident()).status == "open"
    await world.elapse(2 * 60)
    (ended,) = await world.told(events.OccurrenceEnded)
    assert ended.by == "expiry"
    assert (await world.incident()).status == "resolved"


async def test_a_repeat_leaves_the_timer_which_puts_itself_off(world: World) -> None:
    async def due() -> datetime | None:
        return await world.store.read(lambda tx: tx.next_due(["tick"]))

    first = world.clock.now() + timedelta(minutes=10)
    await world.send(world.alert(expires_at=first))
    world.clock.advance(60)
    moved = first + timedelta(minutes=1)
    await world.send(world.alert(expires_at=moved))
    assert await due() == first
    await world.elapse(9 * 60)
    assert await due() == moved
    assert (await world.incident()).status == "open"
    await world.elapse(60)
    assert (await world.incident()).status == "resolved"


async def test_a_tick_of_an_older_expiry_changes_nothing(world: World) -> None:
    stale = world.clock.now() + timedelta(minutes=5)
    alert = world.alert(expires_at=stale + timedelta(minutes=5))
    await world.send(alert)
    tick = encode_tick(Tick("occurrence_expiry", alert.fingerprint, stale), stale)
    await world.stream.append([Message(alert.partition_key, tick)])
    assert dict(await world.consume()) == {"tick": 1}
    assert (await world.incident()).status == "open"


async def test_an_entry_tells_of_as_many_alerts_as_fit(world: World) -> None:
    """Control characters take six bytes in JSON: the largest alerts that a source may send."""
    labels = {str(n): chr(1) * 2_000 for n in range(8)}
    annotations = {str(n): chr(1) * 4_000 for n in range(16)}
    alerts = [
        structs.replace(world.alert("Down", {**labels, "gpu": str(n)}), annotations=annotations)
        for n in range(30)
    ]
    await world.decide(a_batch(*alerts), 0)
    (joined,) = await world.told(events.OccurrenceJoined)
    assert len(joined.occurrence_ids) == 30
    assert 0 < len(joined.alerts) < ALERTS_IN_AN_ENTRY
    entries = (await world.queries.timeline((await world.incident()).id)).entries
    sizes = [len(entry.body or b"") for entry in entries]
    assert max(sizes) < MAX_BODY_BYTES


async def test_a_summary_that_is_a_novel_becomes_a_title(world: World) -> None:
    alert = structs.replace(world.alert(), annotations={"summary": "x" * 5_000})
    await world.decide(a_batch(alert), 0)
    title = (await world.incident()).title
    assert len(title) == TITLE_LIMIT
    assert title.endswith("characters)")


async def test_poison_is_kept_and_the_rest_proceeds(world: World) -> None:
    good = a_batch(world.alert()).records[0]
    bad = Record(0, 1, "k", b'{"type":"quell.alert.v1"}')
    worse = Record(0, 2, "k", b"\xff no JSON")
    again = Record(0, 3, "k", b"\xff no JSON")
    decided = await world.decide(Batch(0, [good, bad, worse, again]), 0)
    assert dict(decided.dispositions) == {"new": 1, "poison": 3}
    letters = await world.queries.dead_letters(10)
    assert {letter.body: letter.count for letter in letters} == {bad.value: 1, worse.value: 2}
    assert {letter.source.rpartition("/")[2] for letter in letters} == {"1", "2"}
    assert await world.position(0) == 4


async def test_poison_never_stops_its_partition_however_full_dead_letters_are(
    world: World,
) -> None:
    poison = [Record(0, n, "k", b"\xff %d" % n) for n in range(5)]
    name, catalog = world.stream.name, world.catalogs.active
    few = Retention(dead_letters_count=2)
    decided = await world.store.write(
        lambda tx: decide(tx, name, Batch(0, poison), 0, catalog, few)
    )
    assert dict(decided.dispositions) == {"poison": 5}
    assert await world.position(0) == 5
    letters = {each.source: each for each in await world.queries.dead_letters(10)}
    assert [letters[f"{name}/0/{n}"].left_out for n in range(5)] == [0, 0, 3, 3, 3]


async def test_dispositions_add_up_to_the_records(world: World) -> None:
    firing = world.alert()
    unknown = world.alert("FanNoisy", status="resolved")
    world.clock.advance(1)
    resolved = world.alert(status="resolved")
    for place, alert in enumerate((firing, unknown, firing, resolved, firing)):
        await world.decide(a_batch(alert, offset=place), place)
    counters = await world.store.read(lambda tx: tx.counters())
    told = {k.removeprefix("disposition/"): n for k, n in counters.items() if "disposition" in k}
    assert told == {"new": 1, "stale": 2, "repeat": 1, "resolved": 1}
    assert counters[f"records/{world.stream.name}"] == 5


async def test_a_resolution_wakes_the_run_which_then_ends_skipped(world: World) -> None:
    await world.fire()
    assert (await world.incident()).phase == "awaiting_approval"
    world.clock.advance(30)
    await world.resolve()
    (ended,) = await world.told(events.RunEnded)
    assert ended.outcome == "skipped"
    assert world.mend.calls == []


async def test_an_expression_that_fails_is_told_and_stops_no_other_rule(tmp_path: Path) -> None:
    rules = RULES.replace(
        "    group_by: [target]", "    when: int(alert.labels.gpu) > 1\n    group_by: [target]"
    )
    async with a_world(tmp_path, rules=rules) as world:
        decided = await world.decide(a_batch(world.alert("Down", {"gpu": "x"})), 0)
        assert dict(decided.dispositions) == {"unmatched": 1}
        (failure,) = decided.failures
        assert "rule down: when" in failure
