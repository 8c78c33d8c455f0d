"""Orders about positions, switches and dead letters that are only recorded."""

from dataclasses import dataclass, field, replace

from typing_extensions import override

from engine.core.events import ModesRaised
from engine.core.positions import Destination, PartitionState
from engine.core.recent_changes import OutsideChange
from engine.core.switches import Switch
from engine.errors import ConflictError, NotFoundError
from engine.ports.changes import Changes
from engine.ports.commands import By, Replayed, Replays, Repositioned, Repositions
from engine.ports.rows import DeadLetter
from engine.ports.switches import Switches
from tests.doubles.fixed_clock import NOW

POSITIONS = (PartitionState(0, 7, 0, 9, ""), PartitionState(1, None, 5, 8, "made anew"))
BRAKE = Switch("storm-brake", "engine", "incidents opened on 5 services within 5m", NOW)
LETTERS = (
    DeadLetter("letter1", "alertmanager", "no string", "alerts[0].labels", b"{}", NOW, NOW),
    DeadLetter("letter2", "kafka/a/0/7", "no JSON", "", b"\0\xff", NOW, NOW, 3, record_key="k"),
    DeadLetter("letter3", "alertmanager", "no list", "", b"x" * 70_000, NOW, NOW, replayed_at=NOW),
)

RAISED = ModesRaised(version="abcdef123", modes="m", raised=("rule down: auto, and keeps approve",))


@dataclass
class MemorySwitches(Switches):
    """Records each order."""

    orders: list[tuple[object, ...]] = field(default_factory=list)

    @override
    async def confirm_raises(self, version: str, *, by: By, reason: str = "") -> ModesRaised:
        self.orders.append((version, by, reason))
        return RAISED

    @override
    async def lift_brake(self, *, by: By, reason: str = "") -> Switch:
        self.orders.append((by, reason))
        return BRAKE


@dataclass
class MemoryChanges(Changes):
    """Records each; only gpu-07, which is gpu-07:9100 too, is known of targets."""

    told: list[tuple[object, ...]] = field(default_factory=list)

    @override
    async def tell_change(
        self, change: OutsideChange, *, by: By, reason: str = ""
    ) -> OutsideChange:
        if set(change.targets) - {"gpu-07", "gpu-07:9100"}:
            raise NotFoundError(f"the inventory has no target {change.targets[0]!r}")
        self.told.append((change, by, reason))
        return replace(change, targets=("gpu-07",) if change.targets else ())


@dataclass
class MemoryRepositions(Repositions):
    """Records each order; only the partition that is stopped can be sent on."""

    orders: list[tuple[object, ...]] = field(default_factory=list)

    @override
    async def set_position(
        self, partition: int, to: Destination, *, by: By, reason: str
    ) -> Repositioned:
        if not POSITIONS[partition].stopped:
            raise ConflictError(f"partition {partition} isn't stopped")
        self.orders.append((partition, to, by, reason))
        return Repositioned(partition, 5, 3)


@dataclass
class MemoryReplays(Replays):
    """Takes the first letter in; the others still can't be understood."""

    orders: list[tuple[str, By]] = field(default_factory=list)

    @override
    async def replay_dead_letter(self, prefix: str, *, by: By) -> Replayed:
        self.orders.append((prefix, by))
        if prefix == LETTERS[0].id:
            return Replayed(replace(LETTERS[0], replayed_at=NOW), 1, "Taken in.", accepted=True)
        return Replayed(replace(LETTERS[1], reason="no object"), 0, "Still wrong.")
