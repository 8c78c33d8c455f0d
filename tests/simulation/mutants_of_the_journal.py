"""Mistakes in the chains of the journal: invariant 8."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.core.journal import GENESIS
from engine.store import journal_rows
from tests.simulation.mutant import Mutant, wrap


def _lose_one(original: Any, rows: Any) -> None:
    if len(rows._unwritten) > 1:
        rows._unwritten.pop(0)
    original(rows)


def _seal_alone(original: Any, new: Any, chain: str, seq: int, _: str, *rest: Any) -> Any:
    return original(new, chain, seq, GENESIS, *rest)


def _edit_later(original: Any, *args: Any) -> Any:
    entry = original(*args)
    return replace(entry, body=entry.body.replace(b'"reason":"', b'"reason":"well, '))


OF_THE_JOURNAL: Sequence[Mutant] = (
    Mutant("an entry is lost", 8, wrap(journal_rows.JournalRows, "flush", _lose_one)),
    Mutant("entries are not linked", 8, wrap(journal_rows, "seal", _seal_alone)),
    Mutant("a body is edited", 8, wrap(journal_rows, "seal", _edit_later)),
)
