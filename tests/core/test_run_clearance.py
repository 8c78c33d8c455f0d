"""What stands before the first change: looks, the source's word, guards, a person's."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import pytest

from engine.core import events
from engine.core.guards import Refusal
from engine.core.run_commands import (
    Attempt,
    Confirm,
    Ended,
    Read,
    Record,
    Wait,
)
from engine.core.severity import Mode
from engine.core.still_firing import Confirmation
from tests.doubles.runs import Drive, a_playbook, a_step, an_incident

UNDO = a_step("undo", "rollback")


def test_the_precheck_is_fresh_when_the_first_change_is_attempted() -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    drive.now += timedelta(minutes=5)
    drive.decide("approved")
    command = drive.next()
    assert isinstance(command, Read)
    assert command.phase == "precheck"
    drive.look(command, holds=True)
    drive.until_interesting()
    assert drive.state.outcome == "not_needed"


def test_two_slow_verify_steps_do_not_make_each_other_stale_for_ever() -> None:
    slow = (a_step("serves", "verify"), a_step("scraped", "verify"))
    drive = Drive(replace(a_playbook(), verify=slow))
    drive.until_interesting()
    drive.now += timedelta(minutes=5)
    drive.decide("approved")
    looked = []
    while isinstance(command := drive.next(), Read):
        looked.append(command.step.id)
        drive.now += timedelta(seconds=40)
        drive.look(command, holds=False)
    assert looked == ["serves", "scraped"]
    assert isinstance(command, Confirm)
    drive.confirm()
    assert isinstance(drive.next(), Attempt)


@pytest.mark.parametrize(
    ("decision", "outcome"), [("rejected", "cancelled"), ("expired", "expired")]
)
def test_without_a_yes_nothing_is_changed(decision: events.Decision, outcome: str) -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    drive.decide(decision)
    assert isinstance(drive.until_interesting(), Ended)
    assert (drive.state.outcome, drive.state.began) == (outcome, False)


def test_an_unanswered_request_expires_by_the_clock() -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    drive.now = waiting.until
    expired = drive.next()
    assert isinstance(expired, Record)
    assert isinstance(expired.event, events.ApprovalDecided)
    assert (expired.event.decision, expired.event.via) == ("expired", "clock")


@pytest.mark.parametrize(
    ("decision", "outcome"), [("rejected", "cancelled"), ("expired", "expired"), ("", "expired")]
)
def test_a_request_that_got_no_yes_waits_for_no_lock(
    decision: events.Decision | Literal[""], outcome: str
) -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    waiting = drive.next()
    assert isinstance(waiting, Wait)
    drive.refusal = Refusal("lock", "host is locked by the run of INC-2", waits=True)
    if decision:
        drive.decide(decision)
    else:
        drive.now = waiting.until
        drive.obey_quietly(drive.next())
    assert isinstance(drive.next(), Record)
    drive.obey_quietly(drive.next())
    assert drive.state.outcome == outcome
    assert [e for e, _, _ in drive.story if isinstance(e, events.RunHeldBack)] == []


@pytest.mark.parametrize(
    ("mode", "always", "asks"),
    [
        pytest.param(Mode.AUTO, False, False, id="auto"),
        pytest.param(Mode.AUTO, True, True, id="auto but the playbook always asks"),
        pytest.param(Mode.APPROVE, False, True, id="approve"),
        pytest.param(Mode.SUGGEST, False, True, id="suggest waits for a person to start it"),
    ],
)
def test_who_is_asked_follows_from_the_mode(mode: Mode, always: bool, asks: bool) -> None:
    drive = Drive(a_playbook(), mode=mode, always=always)
    command = drive.until_interesting()
    assert isinstance(command, Record if asks else Attempt)


def asked(drive: Drive) -> list[str]:
    return [e.answer for e, _, _ in drive.story if isinstance(e, events.StillFiringAsked)]


def test_before_anybody_is_asked_to_approve_the_source_is_asked() -> None:
    drive = Drive(a_playbook())
    drive.until_interesting()
    assert asked(drive) == ["firing"]
    drive.now += timedelta(minutes=5)
    drive.decide("approved")
    assert isinstance(drive.until_interesting(), Attempt)
    assert asked(drive) == ["firing", "firing"], "five minutes ago is too long ago"


def test_a_source_that_says_resolved_is_asked_again_until_its_notice_must_have_come() -> None:
    drive = Drive(a_playbook(), fires=Confirmation("resolved", "source", "asked am"))
    assert isinstance(drive.until_interesting(), Ended)
    assert len(asked(drive)) == 9, "every 15 s for two minutes"
    assert drive.state.outcome == "skipped"
    assert drive.state.outcome_reason == (
        "the source says that it no longer fires, and no notice of that came (asked am)"
    )
    (end,) = [e for e, _, _ in drive.story if isinstance(e, events.RunEnded)]
    assert (end.by_guard, end.changed) == ("still_firing", False)


def test_a_source_that_had_forgotten_for_a_moment_is_believed_again() -> None:
    drive = Drive(a_playbook(), Mode.AUTO, fires=Confirmation("resolved", "source"))
    while len(asked(drive)) < 5:
        command = drive.next()
        assert not isinstance(command, Attempt)
        drive.obey_quietly(command)
    drive.fires = Confirmation("firing", "source")
    assert isinstance(drive.until_interesting(), Attempt)


@pytest.mark.parametrize(
    ("fires", "asks"),
    [
        (Confirmation("firing", "source"), False),
        (Confirmation("firing", "last notice"), False),
        (Confirmation("cannot_tell", "source"), True),
    ],
)
def test_in_auto_a_person_is_asked_where_nobody_can_tell(fires: Confirmation, asks: bool) -> None:
    drive = Drive(a_playbook(), Mode.AUTO, fires=fires)
    assert isinstance(drive.until_interesting(), Record if asks else Attempt)


def test_a_run_by_hand_asks_no_source() -> None:
    incident = replace(an_incident(), rule_id="by-hand")
    drive = Drive(a_playbook(), incident=incident)
    drive.to_first_attempt()
    assert asked(drive) == []


def test_a_lock_is_waited_for_and_told_once() -> None:
    drive = Drive(a_playbook(), Mode.AUTO, refusal=Refusal("lock", "host is locked", waits=True))
    began = drive.now
    while drive.now < began + timedelta(minutes=1):
        command = drive.next()
        assert not isinstance(command, Attempt | Ended)
        drive.obey_quietly(command)
    held = [e for e, _, _ in drive.story if isinstance(e, events.RunHeldBack)]
    assert [(each.guard, each.reason) for each in held] == [("lock", "host is locked")]
    drive.refusal = Refusal("lock", "host is locked by another", waits=True)
    drive.obey_quietly(drive.next())
    drive.refusal = None
    attempt = drive.until_interesting()
    assert isinstance(attempt, Attempt)
    assert drive.state.held_back is not None
    assert drive.state.held_back.reason == "host is locked by another"
    assert drive.state.held_back.since == held_since(drive)


def held_since(drive: Drive) -> datetime:
    return next(at for e, at, _ in drive.story if isinstance(e, events.RunHeldBack))


def test_nobody_waits_for_a_lock_for_ever() -> None:
    drive = Drive(a_playbook(), refusal=Refusal("lock", "host is locked", waits=True))
    while not isinstance(command := drive.next(), Ended):
        assert not isinstance(command, Attempt)
        drive.obey_quietly(command)
    assert drive.now - held_since(drive) == timedelta(minutes=30)
    assert (drive.state.outcome, drive.state.outcome_reason) == (
        "skipped",
        "host is locked for too long",
    )


def test_a_guard_that_does_not_give_way_ends_the_run_unchanged() -> None:
    drive = Drive(a_playbook(), refusal=Refusal("cooldown", "it cools down", waits=False))
    assert isinstance(drive.until_interesting(), Ended)
    (end,) = [e for e, _, _ in drive.story if isinstance(e, events.RunEnded)]
    assert (end.outcome, end.reason, end.by_guard, end.changed) == (
        "skipped",
        "it cools down",
        "cooldown",
        False,
    )
