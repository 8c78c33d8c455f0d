"""Where a partition goes on, and when it must not: whether a stored position fits the log there.

A log is named `<stream>@<id>`: the id tells one log from another that took its place, a topic that
was deleted and made anew, or a file that was replaced. A stream whose id can't be had is named
alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

# Where a person sends a stopped partition: an offset, the log's first record, or behind its last.
Destination: TypeAlias = int | Literal["first", "end"]


@dataclass(frozen=True, slots=True)
class Placed:
    """Go on at `offset`. `is_adopted`: it was stored before the log's id was known."""

    offset: int
    is_adopted: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Don't go on; the sentence says why, and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition: where it goes on (None: nowhere in this log), and what the log holds.

    `end` is the offset after the last record; `stopped` says why it can't go on, "" where it can.
    """

    partition: int
    position: int | None
    first: int
    end: int
    stopped: str


def stream_of(log: str) -> str:
    """The stream that a log is of: what other logs in its place have in common with it."""
    return log.partition("@")[0]


def placement(log: str, partition: int, stored: Mapping[str, int]) -> Placed | Refused:
    """Where this partition of `log` goes on; `stored` are the positions by log of its stream."""
    stream = stream_of(log)
    if log in stored:
        return Placed(stored[log])
    if not stored:
        return Placed(0)
    if set(stored) == {stream}:
        return Placed(stored[stream], is_adopted=True)
    others = " and ".join(f"{offset} in {_told(name)}" for name, offset in sorted(stored.items()))
    return Refused(
        f"partition {partition} of {stream!r} was processed up to {others}, and {_told(log)} is "
        "there now: the topic or file was deleted and made anew, or replaced. What it held and "
        f"wasn't processed is lost. {_way_out(partition)}"
    )


def misplaced(log: str, partition: int, position: int, first: int, end: int) -> str:
    """What to say of a position at which the log has, and will have, no record."""
    what = (
        "records expired before they were processed"
        if position < first
        else "records that were processed are gone, and new ones get their offsets"
    )
    return (
        f"partition {partition} of {stream_of(log)!r} is to go on at {position} and holds {first} "
        f"to {end}: {what}. {_way_out(partition)}"
    )


def state_of(
    log: str, partition: int, stored: Mapping[str, int], first: int, end: int
) -> PartitionState:
    """Position and bounds of one partition together."""
    match placement(log, partition, stored):
        case Refused(reason):
            return PartitionState(partition, None, first, end, reason)
        case Placed(position):
            fits = first <= position <= end
            stopped = "" if fits else misplaced(log, partition, position, first, end)
            return PartitionState(partition, position, first, end, stopped)


def destination(state: PartitionState, to: Destination) -> Placed | Refused:
    """The offset at which a stopped partition goes on when a person says `to`."""
    partition = state.partition
    if not state.stopped:
        return Refused(f"partition {partition} isn't stopped: it goes on by itself")
    offset = {"first": state.first, "end": state.end}[to] if isinstance(to, str) else to
    if not state.first <= offset <= state.end:
        return Refused(
            f"partition {partition} holds {state.first} to {state.end}, and not {offset}"
        )
    return Placed(offset)


def passed_over(state: PartitionState, offset: int, ahead: Collection[int]) -> int:
    """How many records are never processed when it goes on there, expired ones among them.

    `ahead` are the offsets below of which the records were processed ahead of their turn.
    """
    position = state.position or 0
    return max(offset - position, 0) - sum(each >= position for each in ahead)


def _told(log: str) -> str:
    log_id = log.partition("@")[2]
    return f"log {log_id}" if log_id else "a log without an id"


def _way_out(partition: int) -> str:
    return (
        f"`quell positions set {partition} first --reason WHY` goes on with the records that are "
        "there, `end` passes over them"
    )
