"""A checkpoint names the heads and the one before it, and its signature covers both."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.checkpoint import (
    checkpoint_hash,
    checkpoint_of,
    link_problem,
    next_checkpoint,
    root_of,
    root_problem,
    signature_state,
    statement_of,
    with_signature,
)
from engine.core.events import CheckpointSigned
from engine.core.journal import GENESIS
from tests.doubles.journals import AT, KeyDouble, a_journal, knowing

KEY = KeyDouble()
HEADS = [("incident/b", 2, "bb"), ("incident/a", 7, "aa")]


def signed(previous: CheckpointSigned | None = None) -> CheckpointSigned:
    made = next_checkpoint(previous, HEADS, AT, KEY.key_id)
    return with_signature(made, KEY.sign(statement_of(made)))


def test_the_first_has_number_1_and_nothing_before_it() -> None:
    first = signed()
    assert (first.number, first.previous, first.at) == (1, GENESIS, "2026-03-01T12:00:00+00:00")
    assert [chain for chain, _, _ in first.heads] == ["incident/a", "incident/b"]
    assert link_problem(first, None) == root_problem(first) == ""


def test_the_next_names_the_one_before_it() -> None:
    first = signed()
    second = signed(first)
    assert (second.number, second.previous) == (2, checkpoint_hash(first))
    assert link_problem(second, first) == ""


@given(st.permutations([("a", 1, "x"), ("b", 2, "y"), ("c", 3, "z")]))
def test_the_root_does_not_depend_on_the_order_of_heads(heads: list[tuple[str, int, str]]) -> None:
    assert root_of(heads) == root_of(sorted(heads))


@pytest.mark.parametrize(
    "heads",
    [
        pytest.param(HEADS[:1], id="one left out"),
        pytest.param([*HEADS, ("incident/c", 1, "cc")], id="one more"),
        pytest.param([HEADS[0], ("incident/a", 6, "aa")], id="another place"),
        pytest.param([HEADS[0], ("incident/a", 7, "ab")], id="another hash"),
    ],
)
def test_other_heads_have_another_root(heads: list[tuple[str, int, str]]) -> None:
    assert root_of(heads) != root_of(HEADS)
    changed = signed().model_copy(update={"heads": tuple(heads)})
    assert root_problem(changed) == "checkpoint 1: its root isn't that of its heads"


def test_a_chain_that_is_named_twice_is_told() -> None:
    twice = next_checkpoint(None, [("a", 1, "x"), ("a", 2, "y")], AT, "")
    assert root_problem(twice) == "checkpoint 1 names a chain twice"


@pytest.mark.parametrize("change", ["number", "previous", "at", "root", "key_id"])
def test_a_signature_covers_every_member(change: str) -> None:
    value: object = 5 if change == "number" else "changed"
    other = signed().model_copy(update={change: value})
    check = knowing(KEY, KeyDouble("changed"))
    assert signature_state(signed(), check) == "valid"
    assert signature_state(other, check) == "wrong"
    assert checkpoint_hash(other) != checkpoint_hash(signed())


def test_what_a_signature_is_worth() -> None:
    unsigned = next_checkpoint(None, HEADS, AT, "")
    assert signature_state(unsigned, knowing(KEY)) == "unsigned"
    assert signature_state(signed(), knowing(KeyDouble("other"))) == "unknown_key"
    stripped = signed().model_copy(update={"signature": ""})
    assert signature_state(stripped, knowing(KEY)) == "wrong"
    garbled = signed().model_copy(update={"signature": "ü"})
    assert signature_state(garbled, knowing(KEY)) == "wrong"


def test_a_gap_and_a_fork_are_told() -> None:
    first = signed()
    second = signed(first)
    assert link_problem(second, None) == "expected checkpoint 1, found 2"
    other = with_signature(first.model_copy(update={"at": "later"}), b"x")
    assert link_problem(second, other) == "checkpoint 2 doesn't name the one before it"


def test_an_entry_that_holds_none_gives_none() -> None:
    journal = a_journal()
    entry = journal.checkpoints()[0]
    checkpoint = checkpoint_of(entry)
    assert checkpoint is not None
    assert checkpoint.number == 1
    assert checkpoint_of(replace(entry, body=None)) is None
    assert checkpoint_of(replace(entry, body=b"{}")) is None
    assert checkpoint_of(journal.chains["incident/a"][0]) is None
