"""An export is verified as it is: no byte of it can be changed unseen."""

import json
import random
from dataclasses import replace

import pytest

from engine.core.audit_export import (
    end_line,
    entry_line,
    read_copies,
    told,
    verify_export,
)
from tests.doubles.journals import JournalDouble, KeyDouble, a_journal, exported, knowing

KEY = KeyDouble()


def a_long_journal() -> JournalDouble:
    journal = JournalDouble()
    for minute in range(5):
        for incident in range(8):
            texts = [f'note {minute}.{n} "quoted" \\ — 三 \x00' for n in range(5)]
            journal.notes(f"incident/{incident}", *texts)
        journal.checkpoint()
    return journal


def test_an_export_of_a_sound_journal_verifies() -> None:
    outcome = verify_export(a_journal().export(), knowing(KEY))
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 2, 3)


def test_an_empty_journal_has_an_export_too() -> None:
    outcome = verify_export(JournalDouble().export())
    assert (outcome.faults, outcome.chains, outcome.entries) == ((), 0, 0)


def test_every_line_is_one_document_with_the_exact_body() -> None:
    journal = a_journal()
    lines = [json.loads(line) for line in journal.export()]
    assert lines[0] == {"format": "quell-audit@1"}
    assert lines[-1] == {"chains": 4, "entries": 14}
    entry = next(line for line in lines if line.get("chain") == "incident/a" and "body" in line)
    assert entry["body"] == '{"note":"one"}'
    assert bytes.fromhex(entry["salt"]) == journal.chains["incident/a"][0].salt


def test_no_single_byte_can_be_changed_unseen() -> None:
    whole = b"".join(a_long_journal().export())
    assert verify_export(whole.splitlines(keepends=True), knowing(KEY)).faults == ()
    draw = random.Random(7)
    for _ in range(400):
        changed = bytearray(whole)
        at = draw.randrange(len(changed))
        changed[at] ^= draw.randrange(1, 256)
        lines = bytes(changed).split(b"\n")
        again = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        assert verify_export(again, knowing(KEY)).faults, (at, whole[at], changed[at])


def test_no_line_can_be_left_out_moved_or_repeated_unseen() -> None:
    lines = a_journal().export()
    for at in range(len(lines)):
        assert verify_export([*lines[:at], *lines[at + 1 :]], knowing(KEY)).faults, at
        assert verify_export([*lines[: at + 1], *lines[at:]], knowing(KEY)).faults, at
        if at:
            moved = [*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]]
            assert verify_export(moved, knowing(KEY)).faults, at


@pytest.mark.parametrize("left", range(18))
def test_a_file_that_was_cut_off_is_told(left: int) -> None:
    lines = a_journal().export()[:left]
    found = [told(fault) for fault in verify_export(lines).faults]
    assert f"line {left + 1}: the export is cut off: its last line is missing" in found


def test_entries_cut_off_after_the_last_held_checkpoint_are_not_covered() -> None:
    journal = a_journal()
    held = journal.checkpoints()[:1]
    journal.chains.pop("incident/c")
    outcome = verify_export(journal.export(), None, held)
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 1, 5)


def test_chains_in_another_order_are_told() -> None:
    journal = a_journal()
    backwards = sorted(journal.chains.items(), reverse=True)
    found = [told(fault) for fault in verify_export(exported(backwards)).faults]
    assert "incident/c entry 1: chain 'incident/c' comes twice or after 'system'" not in found
    assert "incident/b entry 1: chain 'incident/b' comes twice or after 'incident/c'" in found


def test_another_spelling_of_a_line_is_a_change() -> None:
    lines = a_journal().export()
    lines[3] = json.dumps(json.loads(lines[3])).encode() + b"\n"
    found = [told(fault) for fault in verify_export(lines).faults]
    assert "line 4: isn't a line as quell writes it: the file was changed or cut off" in found


def test_an_erased_body_leaves_its_chain_verifiable_and_takes_its_salt_along() -> None:
    journal = a_journal()
    journal.edited("incident/a", 1, body=None)
    lines = journal.export()
    assert verify_export(lines, knowing(KEY)).faults == ()
    at = next(n for n, line in enumerate(lines) if b'"body":null' in line)
    assert b'"salt":""' in lines[at]
    lines[at] = lines[at].replace(b'"salt":""', b'"salt":"00"')
    assert verify_export(lines, knowing(KEY)).faults


def test_a_body_that_is_no_text_is_exported_and_told() -> None:
    journal = a_journal()
    journal.edited("incident/a", 1, body=b"\xff\xfe")
    found = [told(fault) for fault in verify_export(journal.export()).faults]
    assert found == ["incident/a entry 1: the body was changed"]


def test_a_wrong_count_is_told() -> None:
    lines = a_journal().export()
    found = verify_export([*lines[:-1], end_line(4, 15)]).faults
    assert [told(fault) for fault in found] == [
        "line 20: the export should have 15 entries in 4 chains, and has 14 in 4"
    ]


def test_copies_are_the_lines_of_their_entries() -> None:
    journal = a_journal()
    lines = [entry_line(entry) for entry in journal.checkpoints()]
    assert read_copies(lines) == (journal.checkpoints(), [])


def test_an_older_export_serves_as_a_copy() -> None:
    journal = a_journal()
    assert read_copies(journal.export()) == (journal.checkpoints(), [])


def test_a_copy_that_a_crash_cut_off_is_told_and_its_repetition_counts() -> None:
    journal = a_journal()
    first, second = (entry_line(entry) for entry in journal.checkpoints())
    copies, notes = read_copies([first, second[:40] + b"\n", second])
    assert copies == journal.checkpoints()
    assert notes == ["line 2 of the copies isn't whole and was passed over"]


def test_a_damaged_copy_is_told_and_proves_nothing() -> None:
    journal = a_journal()
    first, second = journal.checkpoints()
    held = [first, replace(second, actor="local:other")]
    outcome = verify_export(journal.export(), None, held)
    assert [told(fault) for fault in outcome.faults] == [
        "system entry 4: the copy of this checkpoint is damaged: the entry was changed"
    ]
    assert outcome.verified == 1
