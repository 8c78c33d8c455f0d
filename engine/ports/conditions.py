"""What rules keep of the alerts that don't act by themselves, in the transaction that decides."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from engine.core.conditions import GroupState, Hold


class Waiting(NamedTuple):
    """An occurrence that somebody else may have asked again, in its own partition."""

    fingerprint: str
    partition_key: str
    kind: str


class ConditionRows(Protocol):
    """Of one transaction: groups that are counted, occurrences that wait, what holds them back."""

    def group(self, group: str) -> GroupState:
        """What is kept of a group, locked until the commit; an empty one where nothing is."""
        ...

    def put_group(self, state: GroupState) -> None:
        """Keep it."""
        ...

    def forget_groups(self, before: datetime, limit: int) -> int:
        """Remove so many at most that weren't put since; how many went."""
        ...

    def put_holds(self, fingerprint: str, partition_key: str, held: Sequence[Hold]) -> None:
        """Replace all by which this occurrence waits."""
        ...

    def holds_of(self, fingerprint: str) -> Sequence[Hold]:
        """All by which this occurrence waits."""
        ...

    def waiting(self, waits_for: str) -> Sequence[Waiting]:
        """Those that wait for this, oldest first."""
        ...

    def firing_of(self, services: Sequence[str]) -> Sequence[Waiting]:
        """The occurrences that fire in open incidents of these services; their kind is ""."""
        ...

    def parts(self, waits_for: str) -> frozenset[int]:
        """Which parts of an all_of wait for the others, and so fire."""
        ...

    def inhibit(self, fingerprint: str, keys: Sequence[str]) -> None:
        """Note under which keys an occurrence holds others back from now on."""
        ...

    def stop_inhibiting(self, fingerprint: str) -> None:
        """It holds nothing back any more."""
        ...

    def inhibiting(self, keys: Sequence[str], *, but: str = "") -> tuple[str, str] | None:
        """(key, fingerprint) of one, other than `but`, that holds back under one of these."""
        ...

    def held(self, limit: int) -> Sequence[tuple[str, Hold]]:
        """(fingerprint, why) of what waits, the latest first."""
        ...
