"""How far a stream's log is decided on: the one reading of lag, balance, watch and retention."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.ports.store import Tx


@dataclass(frozen=True, slots=True)
class Reached:
    """The next offset of a partition, and how many of its records wait from there on.

    Those that were decided on ahead of their turn don't.
    """

    position: int
    waiting: int


def reached(tx: Tx, log: str, ends: Mapping[int, int]) -> Mapping[int, Reached]:
    """By partition; `ends` are the offsets after the last records, read before this."""
    stored, ahead = tx.positions(log), tx.ahead.of_log(log)
    found = {}
    for partition, end in ends.items():
        position = stored.get(partition, {}).get(log, 0)
        decided = sum(position <= offset < end for offset in ahead.get(partition, ()))
        # It may be ahead of the end: that was read before, or the log was cut off.
        found[partition] = Reached(position, max(end - position, 0) - decided)
    return found
