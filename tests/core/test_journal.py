"""The chain: any change to the past is found at its place."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import events
from engine.core.journal import (
    GENESIS,
    MAX_BODY_BYTES,
    Entry,
    NewEntry,
    from_us,
    seal,
    to_us,
    verify_chain,
)
from engine.core.masking import Masker
from engine.errors import PermanentError

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def chain(length: int, name: str = "incident/a") -> list[Entry]:
    entries: list[Entry] = []
    prev = GENESIS
    for seq in range(1, length + 1):
        event = events.IncidentAcknowledged(note=f"note {seq}")
        entry = seal(NewEntry(event, AT, "local:me", "v1"), name, seq, prev, bytes([seq]) * 16)
        entries.append(entry)
        prev = entry.entry_hash
    return entries


def head(entries: list[Entry]) -> tuple[int, str]:
    return entries[-1].seq, entries[-1].entry_hash


def test_a_sound_chain_verifies_and_gives_its_events_back() -> None:
    entries = chain(5)
    assert verify_chain("incident/a", entries, head(entries)) is None
    assert entries[2].event() == events.IncidentAcknowledged(note="note 3")
    assert entries[2].at == AT


def edited(entries: list[Entry]) -> list[Entry]:
    return [*entries[:2], replace(entries[2], body=b'{"note":"x"}'), *entries[3:]]


def forged_actor(entries: list[Entry]) -> list[Entry]:
    return [*entries[:2], replace(entries[2], actor="local:other"), *entries[3:]]


def swapped(entries: list[Entry]) -> list[Entry]:
    return [entries[0], entries[2], entries[1], *entries[3:]]


def forked(entries: list[Entry]) -> list[Entry]:
    other = seal(
        NewEntry(events.IncidentResolved(), AT), "incident/a", 3, entries[1].entry_hash, b"s" * 16
    )
    return [*entries[:2], other, *entries[3:]]


@pytest.mark.parametrize(
    ("change", "at"),
    [
        pytest.param(edited, 3, id="edited body"),
        pytest.param(forged_actor, 3, id="edited actor"),
        pytest.param(lambda e: [*e[:2], *e[3:]], 3, id="deleted"),
        pytest.param(swapped, 2, id="reordered"),
        pytest.param(lambda e: e[:3], 4, id="truncated"),
        pytest.param(forked, 4, id="forked"),
    ],
)
def test_every_change_is_found_where_it_is(
    change: Callable[[list[Entry]], list[Entry]], at: int
) -> None:
    entries = chain(5)
    fault = verify_chain("incident/a", change(entries), head(entries))
    assert fault is not None
    assert fault.seq == at


def test_an_entry_of_another_chain_is_found() -> None:
    entries = chain(3)
    assert verify_chain("incident/b", entries, head(entries)) is not None


def test_an_erased_body_leaves_the_chain_verifiable() -> None:
    entries = chain(3)
    erased = [entries[0], replace(entries[1], body=None), entries[2]]
    assert verify_chain("incident/a", erased, head(entries)) is None
    assert erased[1].event() is None


@given(st.integers(0, 4), st.integers(0, 200), st.integers(1, 255))
def test_no_bit_of_a_body_can_be_flipped_unseen(index: int, at: int, mask: int) -> None:
    entries = chain(5)
    body = bytearray(entries[index].body or b"")
    body[at % len(body)] ^= mask
    entries[index] = replace(entries[index], body=bytes(body))
    assert verify_chain("incident/a", entries, head(chain(5))) is not None


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_keep_a_time_exactly(at: datetime) -> None:
    assert from_us(to_us(at)) == at


def test_a_kind_that_this_version_does_not_know_has_no_event() -> None:
    assert replace(chain(1)[0], kind="incident.painted@9").event() is None


def test_an_entry_that_nobody_cut_is_refused() -> None:
    huge = events.MessageSent(notifier="chat", ref="x" * MAX_BODY_BYTES, revision=1)
    with pytest.raises(PermanentError, match=r"message\.sent@1 of 10486\d\d bytes is refused"):
        seal(NewEntry(huge, AT), "incident/a", 1, GENESIS, b"salt")


@given(st.text(), st.text())
def test_a_sealed_entry_holds_no_secret_and_its_chain_verifies(before: str, after: str) -> None:
    secret = 'tok"en/12=34\\56'
    event = events.StepObserved(
        run_id="r",
        phase="investigate",
        step_id="s",
        outcome="failed",
        outputs={"text": [secret, {secret: f"{before}{secret}{after}"}]},
        error=secret,
    )
    masker = Masker([("token", secret)])
    entry = seal(NewEntry(event, AT), "incident/a", 1, GENESIS, b"salt", masker)
    assert verify_chain("incident/a", [entry], (1, entry.entry_hash)) is None
    kept = entry.event()
    assert isinstance(kept, events.StepObserved)
    assert kept.error == "[masked token]"
    assert secret not in repr(kept.outputs) + str(kept.outputs["text"])
    assert json.dumps(secret)[1:-1].encode() not in (entry.body or b"")


def test_an_entry_without_a_secret_is_sealed_as_without_a_masker() -> None:
    new = NewEntry(events.IncidentAcknowledged(note="note 1"), AT, "local:me", "v1")
    masker = Masker([("token", "tok-en-1234")])
    assert seal(new, "incident/a", 1, GENESIS, bytes([1]) * 16, masker) == chain(1)[0]
