"""Every change to the past is found, up to the last checkpoint that the verifier holds."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import events
from engine.core.audit_check import AuditCheck, AuditOutcome
from engine.core.audit_export import told
from engine.core.checkpoint import CHAIN, SignatureCheck
from engine.core.journal import GENESIS, Entry
from tests.doubles.journals import JournalDouble, KeyDouble, a_journal, knowing

KEY = KeyDouble()
FORGED = events.IncidentAcknowledged(note="forged")


def checked(
    journal: JournalDouble,
    check: SignatureCheck | None = None,
    held: list[Entry] | None = None,
) -> AuditOutcome:
    audit = AuditCheck(check, held or [])
    for chain in sorted(journal.chains, key=lambda name: (name != CHAIN, name)):
        entries = journal.chains[chain]
        audit.begin(
            chain, *((entries[-1].seq, entries[-1].entry_hash) if entries else (0, GENESIS))
        )
        for entry in entries:
            audit.entry(entry)
    return audit.end()


def faults(outcome: AuditOutcome) -> list[str]:
    return [told(fault) for fault in outcome.faults]


def test_a_sound_journal_verifies_up_to_its_last_checkpoint() -> None:
    outcome = checked(a_journal(), knowing(KEY))
    assert (outcome.faults, outcome.notes) == ((), ())
    assert (outcome.chains, outcome.entries, outcome.checkpoints) == (4, 14, 2)
    assert (outcome.verified, outcome.verified_at) == (2, "2026-03-01T12:00:00+00:00")
    assert outcome.uncovered == 3


def test_the_copies_of_the_verifier_verify_without_any_key() -> None:
    journal = a_journal()
    outcome = checked(journal, None, journal.checkpoints()[:1])
    assert outcome.faults == ()
    assert (outcome.verified, outcome.uncovered) == (1, 7)
    assert outcome.notes == ("no key was given: the signatures of checkpoints were not checked",)


def test_without_key_and_copy_only_the_chains_are_proven() -> None:
    outcome = checked(a_journal())
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 0, 14)
    assert outcome.notes[1].startswith("no checkpoint verified")


Change = Callable[[JournalDouble], None]


def _reorder(journal: JournalDouble) -> None:
    entries = journal.chains["incident/a"]
    entries[1], entries[2] = entries[2], entries[1]


def _cut(journal: JournalDouble) -> None:
    del journal.chains["incident/a"][2:]


def _drop_chain(journal: JournalDouble) -> None:
    del journal.chains["incident/b"]


def _drop_checkpoint(journal: JournalDouble) -> None:
    """And everything after it sealed again, as one would who knows the format."""
    after = [entry.event() for entry in journal.chains[CHAIN][2:]]
    del journal.chains[CHAIN][1:]
    journal.append(CHAIN, *(event for event in after if event is not None))


TAMPERED = [
    pytest.param(
        lambda j: j.edited("incident/a", 2, body=b'{"note":"x"}'),
        "incident/a entry 2: the body was changed",
        id="body edited",
    ),
    pytest.param(
        lambda j: j.edited("incident/a", 2, actor="local:other"),
        "incident/a entry 2: the entry was changed",
        id="actor edited",
    ),
    pytest.param(
        lambda j: j.chains["incident/a"].pop(1),
        "incident/a entry 2: expected entry 2, found 3",
        id="deleted",
    ),
    pytest.param(_reorder, "incident/a entry 2: expected entry 2, found 3", id="reordered"),
    pytest.param(
        _cut,
        "incident/a entry 3: the chain was cut off: checkpoint 1 names its entry 3",
        id="truncated, with its head",
    ),
    pytest.param(
        lambda j: j.resealed("incident/a", 2, FORGED),
        "incident/a entry 3: isn't the entry that checkpoint 1 names: it was replaced",
        id="forked, sealed anew to its head",
    ),
    pytest.param(
        _drop_chain,
        "incident/b entry 1: the whole chain is gone: checkpoint 1 names entry 2",
        id="a whole chain",
    ),
    pytest.param(
        lambda j: j.resealed(CHAIN, 1, events.CatalogActivated(version="v0", files={})),
        "system entry 2: checkpoint 1 leaves out entries of its own chain",
        id="the system's chain forked",
    ),
    pytest.param(
        _drop_checkpoint, "system entry 3: expected checkpoint 1, found 2", id="a checkpoint"
    ),
    pytest.param(
        lambda j: j.edited(CHAIN, 2, body=None),
        "system entry 2: the checkpoint was erased or can't be read",
        id="a checkpoint's body",
    ),
]


@pytest.mark.parametrize(("change", "fault"), TAMPERED)
def test_every_change_is_found_where_it_is(change: Change, fault: str) -> None:
    journal = a_journal()
    change(journal)
    outcome = checked(journal, knowing(KEY))
    assert faults(outcome) == [fault]
    assert outcome.verified == 0


@pytest.mark.parametrize(("change", "fault"), TAMPERED)
def test_a_copy_finds_it_as_well_without_a_key(change: Change, fault: str) -> None:
    journal = a_journal()
    held = journal.checkpoints()
    change(journal)
    found = checked(journal, None, held)
    assert found.verified == 0
    assert len(found.faults) == 1


def test_a_checkpoint_before_the_change_still_verifies() -> None:
    journal = a_journal()
    journal.edited("incident/a", 5, actor="local:other")
    outcome = checked(journal, knowing(KEY))
    assert faults(outcome) == ["incident/a entry 5: the entry was changed"]
    assert (outcome.verified, outcome.uncovered) == (1, 7)


def test_what_lies_after_the_last_checkpoint_can_be_cut_off_unseen_and_is_counted() -> None:
    journal = a_journal()
    assert checked(journal, knowing(KEY)).uncovered == 3
    del journal.chains["incident/c"]
    del journal.chains["incident/b"][2:]
    outcome = checked(journal, knowing(KEY), journal.checkpoints())
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 2, 0)


def rolled_back() -> JournalDouble:
    """To the moment of checkpoint 1, consistently."""
    journal = a_journal()
    del journal.chains["incident/c"]
    del journal.chains["incident/b"][2:]
    del journal.chains["incident/a"][3:]
    del journal.chains[CHAIN][2:]
    return journal


def test_a_journal_that_was_rolled_back_is_found_by_who_holds_a_later_checkpoint_alone() -> None:
    held = a_journal().checkpoints()
    assert checked(rolled_back(), knowing(KEY)).faults == ()
    outcome = checked(rolled_back(), knowing(KEY), held)
    assert faults(outcome) == [
        "system entry 3: the chain was cut off: checkpoint 2 names its entry 3",
        "incident/a entry 4: the chain was cut off: checkpoint 2 names its entry 5",
    ]
    assert outcome.verified == 1


def test_who_holds_database_and_key_can_rewrite_and_only_a_copy_tells() -> None:
    held = a_journal().checkpoints()
    forged = JournalDouble()
    forged.append(CHAIN, events.CatalogActivated(version="v1", files={}))
    forged.notes("incident/a", "another story")
    forged.checkpoint()
    assert checked(forged, knowing(KEY)).faults == ()
    found = faults(checked(forged, knowing(KEY), held))
    assert found[0] == "system entry 2: isn't the entry that checkpoint 1 names: it was replaced"


def before_the_second_checkpoint() -> JournalDouble:
    journal = a_journal()
    del journal.chains[CHAIN][3:]
    journal.checkpointed[CHAIN] = 2
    return journal


def test_a_forger_without_the_key_can_make_no_checkpoint() -> None:
    for key, how in ((None, "isn't signed"), (KeyDouble("other"), "is signed by other")):
        journal = before_the_second_checkpoint()
        journal.checkpoint(key)
        outcome = checked(journal, knowing(KEY))
        assert faults(outcome) == [
            f"system entry 4: checkpoint 2 {how}, and no later one by a known key"
        ]
        assert outcome.verified == 1


def test_a_stolen_key_id_does_not_help() -> None:
    journal = before_the_second_checkpoint()
    journal.checkpoint(None)
    body = journal.chains[CHAIN].pop().event()
    assert isinstance(body, events.CheckpointSigned)
    journal.append(CHAIN, body.model_copy(update={"key_id": KEY.key_id, "signature": "AAAA"}))
    outcome = checked(journal, knowing(KEY))
    assert faults(outcome) == ["system entry 4: checkpoint 2: its signature is wrong"]
    assert outcome.verified == 1


def test_after_a_rotation_the_new_key_covers_what_the_old_one_signed() -> None:
    journal = a_journal()
    new = KeyDouble("new")
    journal.checkpoint(new)
    outcome = checked(journal, knowing(new))
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 3, 0)
    assert outcome.notes == ("2 of 3 checkpoints are signed by keys that were not given: a-key",)
    assert checked(journal, knowing(new, KEY)).notes == ()


def test_unsigned_checkpoints_are_told_and_a_later_signature_covers_them() -> None:
    journal = JournalDouble()
    journal.notes("incident/a", "one")
    journal.checkpoint(None)
    alone = checked(journal)
    assert (alone.faults, alone.verified) == ((), 0)
    assert "1 of 1 checkpoints are not signed" in alone.notes
    journal.notes("incident/a", "two")
    journal.checkpoint()
    assert checked(journal, knowing(KEY)).verified == 2


def test_a_checkpoint_may_not_pass_over_entries_of_its_own_chain() -> None:
    journal = a_journal()
    journal.append(CHAIN, events.CatalogActivated(version="v3", files={}))
    journal.checkpointed[CHAIN] = 99
    journal.checkpoint()
    (fault,) = faults(checked(journal, knowing(KEY)))
    assert fault == "system entry 6: checkpoint 3 leaves out entries of its own chain"


def test_a_quiet_minute_needs_no_entry_of_the_system() -> None:
    journal = a_journal()
    journal.checkpoint()
    journal.notes("incident/a", "six")
    journal.checkpointed[CHAIN] = 99  # as the store says of a chain that has only checkpoints since
    journal.checkpoint()
    outcome = checked(journal, knowing(KEY))
    assert (outcome.faults, outcome.verified, outcome.uncovered) == ((), 4, 0)


def test_copies_that_contradict_each_other_are_told() -> None:
    other = a_journal()
    del other.chains[CHAIN][1:]
    other.notes("incident/b", "x")
    other.checkpointed.clear()
    held = [*a_journal().checkpoints(), other.checkpoint()]
    outcome = checked(a_journal(), knowing(KEY), held)
    assert any("in the copy: checkpoint 1 names another entry" in each for each in faults(outcome))
    assert outcome.verified == 0


def test_a_copy_twice_is_one_copy() -> None:
    held = a_journal().checkpoints() * 2
    assert checked(a_journal(), knowing(KEY), held).faults == ()


@given(st.data())
def test_any_rewriting_of_a_covered_entry_is_found(data: st.DataObject) -> None:
    journal = a_journal()
    covered = {"incident/a": 5, "incident/b": 2}
    chain = data.draw(st.sampled_from(sorted(covered)))
    journal.resealed(chain, data.draw(st.integers(1, covered[chain])), FORGED)
    outcome = checked(journal, knowing(KEY))
    assert [fault.chain for fault in outcome.faults] == [chain]
    assert outcome.verified < 2


def test_entries_before_any_head_are_told() -> None:
    audit = AuditCheck()
    audit.entry(a_journal().chains["incident/a"][0])
    assert faults(audit.end()) == ["incident/a entry 1: comes before the head of its chain"]


@pytest.mark.parametrize("names", [("incident/a", CHAIN), ("incident/b", "incident/a")])
def test_chains_out_of_order_are_told(names: tuple[str, str]) -> None:
    audit, journal = AuditCheck(), a_journal()
    for name in names:
        entries = journal.chains[name]
        audit.begin(name, entries[-1].seq, entries[-1].entry_hash)
        for entry in entries:
            audit.entry(entry)
    assert any(f"{names[1]} entry 1: chain" in each for each in faults(audit.end()))
