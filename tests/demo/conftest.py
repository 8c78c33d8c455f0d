"""The demo's parts, each in a folder with a short name: a Unix socket's has a limit."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.demo.hosting import Place, running_host
from engine.demo.unit import Unit, supervised
from tests.demo.units import PATIENT


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="quell-") as name:
        yield Path(name).resolve()


@pytest.fixture
async def unit(folder: Path) -> AsyncIterator[Unit]:
    unit = Unit("vllm", PATIENT, folder / "vllm.log")
    async with supervised(unit, folder / "supervisor.sock"):
        yield unit


@pytest.fixture
async def place(folder: Path) -> AsyncIterator[Place]:
    async with running_host(folder / "host") as place:
        yield place
