"""The one way to keep dead letters: within the room that there is, and never without a word."""

from collections.abc import Sequence
from dataclasses import replace

from engine.core.ids import derived_id
from engine.core.retention import Retention
from engine.errors import FullError
from engine.ports.rows import DeadLetter
from engine.ports.store import Tx

# Records of the stream that found no room are known by their place, some 500 B each, up to here.
MAX_BODILESS = 10_000
# A sender that is told to come back does so until somebody has made room.
COME_BACK_S = 60.0


def keep_of_sender(tx: Tx, letters: Sequence[DeadLetter], retention: Retention) -> None:
    """All or none: raises FullError, because the sender still has what it sent."""
    new = [tx.put_dead_letter(letter) for letter in letters]
    usage = tx.dead_letter_usage()
    if any(new) and (problem := retention.full(usage.with_body, usage.size)):
        raise FullError(problem, COME_BACK_S)


def keep_of_stream(tx: Tx, letters: Sequence[DeadLetter], retention: Retention) -> None:
    """Each, somehow, because a partition can't wait: without its body where there is no room.

    The stream still holds such a record, at the place that its letter names, for as long as it
    holds any. Past MAX_BODILESS of them one letter a partition counts the others.
    """
    if not letters:
        return
    usage = tx.dead_letter_usage()
    count, size, bodiless = usage.with_body, usage.size, usage.bodiless
    for letter in letters:
        if not retention.full(count + 1, size + len(letter.body)):
            tx.put_dead_letter(letter)
            count, size = count + 1, size + len(letter.body)
        elif bodiless < MAX_BODILESS:
            tx.put_dead_letter(_without_body(letter))
            bodiless += 1
        else:
            _count_only(tx, letter)


def _without_body(letter: DeadLetter) -> DeadLetter:
    return replace(letter, body=b"", left_out=len(letter.body) + letter.left_out)


def _count_only(tx: Tx, letter: DeadLetter) -> None:
    partition, _, offset = letter.source.rpartition("/")
    others = replace(
        _without_body(letter),
        id=derived_id("dead-letters-beyond", partition),
        reason=f"records that can't be understood, up to offset {offset}: dead letters were full",
        field="",
        record_key="",
    )
    tx.put_dead_letter(others)
    tx.restate_dead_letter(others.id, others.reason, "")
