"""The emergency address is told at most every five minutes, and its faults touch nothing else."""

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from engine.core.emergency import TELL_EVERY_S, Trouble
from engine.errors import OutcomeUnknownError, PermanentError, TransientError
from engine.ports.emergency import Emergency
from engine.ports.metrics import Metrics
from engine.stages import emergencies
from engine.stages.emergencies import LOOK_EVERY_S, RETRY_S, EmergencyStage
from tests.doubles.virtual_time import VirtualClock, until

STORE = Trouble("store", "its store can't be written since 12:00:00 UTC: no server answers")


@dataclass
class Address(Emergency):
    """Keeps what it is told; `faults` are raised first, one a message; or it never answers."""

    heard: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    hangs: bool = False

    @override
    async def tell(self, text: str) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.faults:
            raise self.faults.pop(0)
        self.heard.append(text)


@dataclass
class Emergencies:
    """The stage with what it is told of, on a virtual clock."""

    address: Address = field(default_factory=Address)
    clock: VirtualClock = field(default_factory=VirtualClock)
    metrics: Metrics = field(default_factory=Metrics)
    troubles: list[Trouble] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage = EmergencyStage(
            self.address, self.clock, self.metrics, "ops-1/7", lambda: self.troubles, lambda: 12
        )

    async def passes(self, seconds: float) -> None:
        """Let it look as often as it wants to in this time."""
        end_s = seconds
        while end_s > 0:
            step_s = await self.stage.look()
            self.clock.advance(step_s)
            end_s -= step_s

    def counted(self, outcome: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "quell_emergency_messages_total", {"outcome": outcome}
        )
        return value or 0.0


async def test_a_trouble_is_told_once_and_once_more_when_it_is_over() -> None:
    emergencies = Emergencies(troubles=[STORE])
    await emergencies.passes(600)
    (heard,) = emergencies.address.heard
    assert "ops-1/7" in heard
    assert STORE.sentence in heard
    assert "12 alerts are safe" in heard
    emergencies.troubles.clear()
    await emergencies.passes(3600)
    assert emergencies.address.heard[1:] == [
        "quell (ops-1/7) works again. What happened meanwhile is in its log."
    ]
    assert emergencies.counted("told") == 2


async def test_troubles_that_come_and_go_are_told_at_most_every_five_minutes() -> None:
    emergencies = Emergencies()
    for turn in range(100):
        emergencies.troubles[:] = [] if turn % 2 else [STORE]
        await emergencies.passes(30)
    assert 8 <= len(emergencies.address.heard) <= 100 * 30 / TELL_EVERY_S + 1


@pytest.mark.parametrize("fault", [TransientError("no route"), PermanentError("404")])
async def test_a_message_that_was_not_delivered_is_sent_again_soon(fault: Exception) -> None:
    emergencies = Emergencies(Address(faults=[fault, fault]), troubles=[STORE])
    with capture_logs() as logs:
        assert await emergencies.stage.look() == RETRY_S
        assert await emergencies.stage.look() == RETRY_S
        assert await emergencies.stage.look() == LOOK_EVERY_S
    assert len(emergencies.address.heard) == 1
    assert (emergencies.counted("failed"), emergencies.counted("told")) == (2, 1)
    assert [log["event"] for log in logs] == ["emergency_not_told"] * 2 + ["emergency_told"]
    assert logs[0]["text"] == emergencies.address.heard[0], "the log has it at least"


async def test_a_message_of_unknown_outcome_counts_as_told() -> None:
    emergencies = Emergencies(Address(faults=[OutcomeUnknownError("reset")]), troubles=[STORE])
    await emergencies.passes(TELL_EVERY_S - LOOK_EVERY_S)
    assert emergencies.address.heard == []
    assert emergencies.counted("unknown") == 1
    emergencies.troubles.clear()
    await emergencies.passes(2 * LOOK_EVERY_S)
    assert len(emergencies.address.heard) == 1


async def test_an_address_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emergencies, "TELL_WITHIN_S", 0.01)
    hanging = Emergencies(Address(hangs=True), troubles=[STORE])
    async with asyncio.timeout(5):
        await hanging.stage.look()
    assert hanging.counted("unknown") == 1


async def test_it_looks_until_it_is_cancelled() -> None:
    emergencies = Emergencies()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(emergencies.stage.run())
        await until(lambda: emergencies.clock.sleeping == 1)
        emergencies.troubles.append(STORE)
        emergencies.clock.advance(LOOK_EVERY_S)
        await until(lambda: len(emergencies.address.heard) == 1)
        running.cancel()
