"""The scripted action group keeps to Azure's own rules."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.doubles.virtual_time import VirtualClock, until
from tests.services.azure_action_group import SILENT_S, ActionGroup, Delivery


def group_over(answers: Iterator[int], clock: VirtualClock) -> ActionGroup:
    def answer(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return ActionGroup(http, "https://quell.example/v1/alerts/azure-monitor", clock)


async def notified(group: ActionGroup, clock: VirtualClock) -> tuple[Delivery, float]:
    """What became of a notice, and after how many seconds."""
    began = clock.monotonic()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(group.notify(b"{}"))
        while not task.done():
            await until(lambda: task.done() or clock.at_rest())
            if not task.done():
                clock.advance(1)
    return task.result(), clock.monotonic() - began


@pytest.mark.parametrize(
    ("answers", "outcome", "seconds"),
    [
        ([200], "delivered", 0),
        ([503, 200], "delivered", 5),
        ([0, 429, 408, 504, 200], "delivered", 70),
        ([503, 503, 503, 503, 503, 202], "delivered", 75),
        ([503] * 6, "given up", 75),
        ([500], "refused", 0),
        ([503, 401], "refused", 5),
    ],
)
async def test_what_it_tries_again_and_when(
    answers: list[int], outcome: str, seconds: float
) -> None:
    clock = VirtualClock()
    found, took = await notified(group_over(iter(answers), clock), clock)
    assert (found.outcome, list(found.statuses), took) == (outcome, answers, seconds)


async def test_after_giving_up_it_is_silent_for_a_quarter_of_an_hour() -> None:
    clock = VirtualClock()
    group = group_over(iter([503] * 6 + [200]), clock)
    await notified(group, clock)
    clock.advance(SILENT_S - 1)
    assert (await group.notify(b"{}")).outcome == "silent"
    clock.advance(1)
    assert (await group.notify(b"{}")).outcome == "delivered"
    assert [each.outcome for each in group.deliveries] == ["given up", "silent", "delivered"]
