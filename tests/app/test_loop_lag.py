"""A loop that is held is measured, and the place is told while it is held."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from engine.app import loop_lag
from engine.app.loop_lag import LoopLag
from engine.ports.metrics import Metrics
from tests.doubles.virtual_time import until


def lag(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("quell_event_loop_lag_seconds") or 0.0


def hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_held_loop_is_measured_and_its_place_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_lag, "BEAT_S", 0.01)
    monkeypatch.setattr(loop_lag, "HELD_S", 0.1)
    metrics = Metrics()
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(LoopLag(metrics).run())
            await until(lambda: lag(metrics) > 0)
            hold_the_loop(0.6)
            await until(lambda: lag(metrics) > 0.3)
            running.cancel()
    # The machine may hold the loop, too; that has another place.
    (held,) = (log for log in logs if "in hold_the_loop" in log["place"])
    assert held["event"] == "event_loop_held"
    assert held["for_s"] >= 0.1


async def test_a_free_loop_is_hardly_late_and_an_old_hold_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_lag, "BEAT_S", 0.01)
    monkeypatch.setattr(loop_lag, "WINDOW_S", 0.1)
    metrics = Metrics()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(LoopLag(metrics).run())
        await until(lambda: lag(metrics) > 0)
        hold_the_loop(0.4)
        await until(lambda: lag(metrics) > 0.3)
        await until(lambda: lag(metrics) < 0.3)
        running.cancel()
