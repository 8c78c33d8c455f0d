"""Mistakes between a record and its incident: invariants 1 to 3."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.core import events, trigger
from engine.core.incident import Incident, correlation_key
from engine.core.trigger import first_run
from engine.errors import TransientError
from engine.ports import telling
from engine.ports.stream import Batch
from engine.stages import intake
from engine.stages.deciding import acting, admitting, batch
from engine.store import ahead_rows, incident_rows, position_rows
from tests.simulation import scenario
from tests.simulation.mutant import Mutant, put, together, wrap


def _advance_anyhow(original: Any, rows: Any, stream: str, partition: int, *_: int) -> None:
    to = _[1]
    original(rows, stream, partition, rows.position(stream, partition), to)


async def _accept_anyhow(original: Any, *args: Any) -> None:
    try:
        await original(*args)
    except TransientError:
        return


def _forget_repeats(original: Any, rows: Any, counts: Mapping[str, int]) -> None:
    original(rows, {name: n for name, n in counts.items() if name != "disposition/repeat"})


def _none_noted(*_: Any) -> Mapping[int, str]:
    return {}


def _repeat_as_new(original: Any, *arguments: Any) -> Any:
    notice = original(*arguments)
    return replace(notice, effect="opened") if notice.effect == "repeat" else notice


def _without_index(original: Any, *args: Any) -> Any:
    database = original(*args)
    database.raw.execute("DROP INDEX one_live_incident")
    return database


_NO_INDEX = wrap(scenario, "a_database", _without_index)


def _only_open(original: Any, rows: Any, key: str) -> Incident | None:
    found: Incident | None = original(rows, key)
    return found if found is not None and found.status == "open" else None


_order = iter(range(10**9))


def _another_key(original: Any, rule_id: str, group: Mapping[str, str]) -> str:
    return str(original(f"{rule_id}{next(_order)}", group))


def _run_for(of: Callable[[Incident], bool]) -> Callable[..., str]:
    def join(original: Any, work: Any, match: Any, occurrence: Any, at: Any) -> str:
        key = correlation_key(match.rule.id, match.group)
        before = work.tx.live_incident(key)
        incident_id: str = original(work, match, occurrence, at)
        if before is not None and of(before):
            story = first_run(before, match, occurrence.alert, work.catalog)
            work.first_runs[incident_id] = story
        return incident_id

    return join


def _run_again_at_end(original: Any, held: Any, seen: Any, catalog: Any, story: Any) -> None:
    again = []
    if any(isinstance(event, events.RunEnded) for event in story) and seen.state.began:
        chain = f"incident/{seen.incident.id}"
        again = [
            event
            for entry in held.page(chain, kind=events.RunCreated.KIND, limit=9)
            if (event := entry.event()) is not None
        ]
    original(held, seen, catalog, [*story, *again])


OF_ALERTS: Sequence[Mutant] = (
    Mutant(
        "the position is not compared",
        1,
        wrap(position_rows.PositionRows, "advance", _advance_anyhow),
    ),
    Mutant(
        "acknowledged before the append", 1, wrap(intake.StreamIntake, "accept", _accept_anyhow)
    ),
    Mutant(
        "repeats are not counted",
        1,
        wrap(position_rows.PositionRows, "count", _forget_repeats),
    ),
    Mutant(
        "a record is skipped",
        1,
        put(Batch, "next_offset", property(lambda batch: batch.records[-1].offset + 2)),
    ),
    Mutant(
        "what went ahead has its turn again", 1, put(ahead_rows.SqlAheadRows, "take", _none_noted)
    ),
    Mutant("what goes ahead isn't noted", 1, put(ahead_rows.SqlAheadRows, "note", _none_noted)),
    Mutant(
        "a repeat opens again",
        1,
        together(put(batch, "repeat", lambda *_: None), wrap(batch, "receive", _repeat_as_new)),
    ),
    Mutant(
        "no look for a live incident",
        2,
        together(_NO_INDEX, put(incident_rows.IncidentRows, "live", lambda *_: None)),
    ),
    Mutant(
        "a resolved incident counts as closed",
        2,
        together(_NO_INDEX, wrap(incident_rows.IncidentRows, "live", _only_open)),
    ),
    Mutant(
        "the key is not derived",
        2,
        together(
            wrap(admitting, "correlation_key", _another_key),
            wrap(trigger, "correlation_key", _another_key),
        ),
    ),
    Mutant("joining an incident triggers", 3, wrap(acting, "join", _run_for(lambda _: True))),
    Mutant(
        "reopening triggers",
        3,
        wrap(acting, "join", _run_for(lambda incident: incident.status == "resolved")),
    ),
    Mutant("the end of a run triggers again", 3, wrap(telling, "_record", _run_again_at_end)),
)
