"""A secret that comes in with an alert, an output or a person's words goes no further."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from engine.core import events
from engine.core.actions import Result
from engine.core.plan import plan_hash
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.known_secrets import KNOWN
from engine.ports.source import Rejected
from engine.ports.stream import Message
from tests.doubles.scripted import OK
from tests.doubles.world import ONCALL, World, a_world, approve, ended
from tests.doubles.written import RESTART, RULES

SECRET = 'tok-en/1234+"5678"=90'
NAME = "people.slack.bot_token"
LEAK = Result(
    succeeded=True,
    outputs={"ok": True, "text": SECRET, "deep": [{"a": f"<{SECRET}>"}]},
    evidence=f"printed {SECRET}",
)
WITH_MODEL = RESTART.replace(
    "  host: {type: target, kind: host}",
    "  host: {type: target, kind: host}\n  model: {type: string}",
).replace("{what: restart,", "{what: '${{ params.model }}',")
ASKS_FOR_MODEL = RULES.replace(
    "with: {host: '${{ alert.target }}'}",
    "with: {host: '${{ alert.target }}', model: '${{ alert.labels.model }}'}",
)


@pytest.fixture(autouse=True)
def _told() -> None:
    KNOWN.keep(NAME, SECRET)


def rows(world: World) -> dict[str, str]:
    """Everything in the database as text, by table; strings of JSON are read out of it."""
    with closing(sqlite3.connect(world.folder / "quell.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            table: "\n".join(
                cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
                for row in connection.execute(f"SELECT * FROM {table}")
                for cell in row
            )
            for (table,) in names.fetchall()
        }


def holding(world: World) -> set[str]:
    """The tables in which the secret is, as it is or as JSON writes it."""
    forms = (SECRET, json.dumps(SECRET)[1:-1])
    return {table for table, text in rows(world).items() if any(form in text for form in forms)}


async def test_what_actions_give_is_journaled_without_it(world: World) -> None:
    world.look.will("state", LEAK)
    world.mend.will("restart", Result(succeeded=False, error=f"{SECRET} was refused"))
    await world.fire()
    await approve(world)
    await world.elapse(60)
    looks = await world.told(events.StepObserved)
    assert looks[0].outputs == {
        "ok": True,
        "text": "[masked]",
        "deep": [{"a": "<[masked]>"}],
    }
    assert looks[0].evidence == "printed [masked]"
    (end,) = await world.told(events.AttemptEnded)
    assert end.error == "[masked] was refused"
    assert holding(world) == set()
    assert SECRET not in repr(world.notifier.shown)
    assert SECRET not in repr(world.tracker.asked) + repr(world.kept)


@pytest.mark.parametrize("kind", [PermanentError, TransientError, OutcomeUnknownError])
async def test_what_errors_say_is_journaled_without_it(
    world: World, kind: type[PermanentError | TransientError | OutcomeUnknownError]
) -> None:
    world.look.will("state", PermanentError(f"401: {SECRET}"))
    world.mend.will("restart", kind(f"answered {SECRET}"))
    await world.fire()
    await approve(world)
    assert (await world.told(events.StepObserved))[0].error == "401: [masked]"
    assert [each.error for each in await world.told(events.AttemptEnded)] == ["answered [masked]"]
    assert holding(world) == set()


async def test_an_alert_that_shows_it_is_kept_as_it_was_sent_and_told_without_it(
    world: World,
) -> None:
    alert = structs.replace(
        world.alert("Down", {"leak": SECRET}), annotations={"summary": f"refused {SECRET}"}
    )
    await world.send(alert)
    incident = await world.incident()
    assert incident.title == "refused [masked]"
    (joined,) = await world.told(events.OccurrenceJoined)
    assert joined.alerts[0]["labels"] == {**alert.labels, "leak": "[masked]"}
    # What rules decide on stays what the sender sent: in the stream, and in the open occurrence.
    assert holding(world) == {"occurrences"}
    assert SECRET not in repr(world.notifier.shown)


async def test_a_plan_of_what_was_masked_is_no_plan(tmp_path: Path) -> None:
    async with a_world(tmp_path, rules=ASKS_FOR_MODEL, playbook=WITH_MODEL) as world:
        await world.fire(model=SECRET)
        outcome, reason = await ended(world)
        assert outcome == "failed"
        assert reason == (
            "no plan: step restart: it holds [masked…], where an alert or an output showed a "
            "secret: what would run isn't what was meant"
        )
        assert world.mend.calls == []
        assert holding(world) == {"occurrences"}


async def test_a_plan_with_a_secret_is_no_plan(tmp_path: Path) -> None:
    playbook = RESTART.replace("{what: restart,", "{what: 'restart tok-en-56789',")
    async with a_world(tmp_path, playbook=playbook) as world:
        KNOWN.keep("store.url", "tok-en-56789")  # after the playbook became active
        await world.fire()
        outcome, reason = await ended(world)
        assert outcome == "failed"
        assert reason.startswith("no plan: step restart: it holds the secret store.url; ")
        assert world.mend.calls == []


async def test_a_plan_is_kept_as_it_was_hashed(world: World) -> None:
    world.look.will("state", LEAK)
    await world.fire()
    (planned,) = await world.told(events.RunPlanned)
    assert plan_hash(planned.plan.encode()) == planned.plan_hash
    await approve(world)
    assert world.mend.done("restart") == 1


async def test_a_state_before_that_can_not_be_kept_keeps_the_change_from_beginning(
    world: World,
) -> None:
    world.mend.looks = [{"started": f"by {SECRET}"}]
    await world.fire()
    await approve(world)
    (end,) = await world.told(events.AttemptEnded)
    assert (end.outcome, end.begun) == ("failed", False)
    assert end.error == (
        "the state before could not be read: what the probe prints holds the secret "
        f"{NAME}, so it can't be kept to compare with later: let the probe print less"
    )
    assert world.mend.calls == []


async def test_a_persons_words_are_kept_without_it(world: World) -> None:
    await world.fire()
    row = await world.approval()
    await world.commands.decide(
        row.id, "rejected", plan_hash=row.plan_hash, by=ONCALL, reason=f"not with {SECRET}"
    )
    (decided,) = await world.told(events.ApprovalDecided)
    assert decided.reason == "not with [masked]"
    stops = await world.commands.stop("all", by=ONCALL, reason=f"{SECRET} leaked")
    assert [each.reason for each in stops] == ["[masked] leaked"]
    assert holding(world) == set()


async def test_a_dead_letter_is_kept_as_it_came_and_its_reason_without_it(world: World) -> None:
    body = json.dumps({"startsAt": SECRET}).encode()
    problem = f"expected a time, got {SECRET!r}"
    await world.intake.dead_letter("am", [Rejected(0, "alerts[0].startsAt", problem, body)])
    (letter,) = await world.queries.dead_letters(10)
    assert letter.body == body
    assert letter.reason == "expected a time, got '[masked]'"
    await world.store.write(lambda tx: tx.restate_dead_letter(letter.id, f"still {SECRET}", ""))
    assert (await world.queries.dead_letter(letter.id)).reason == "still [masked]"


async def test_a_record_that_can_not_be_read_is_told_without_it(world: World) -> None:
    await world.stream.append([Message("k", f"no JSON: {SECRET}".encode())])
    await world.consume()
    (letter,) = await world.queries.dead_letters(10)
    assert SECRET.encode() in letter.body
    assert SECRET not in letter.reason


async def test_without_a_secret_nothing_changes(world: World) -> None:
    world.look.will("state", OK)
    await world.fire()
    await approve(world)
    await world.elapse(15)
    assert await ended(world) == ("succeeded", "every verification held")
    assert "[masked" not in "".join(rows(world).values())
