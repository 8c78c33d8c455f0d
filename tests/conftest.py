"""Fixtures that every test may use: the real services, each started when first asked for."""

import gc
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from engine.ports.known_secrets import KNOWN

pytest_plugins = [
    "tests.doubles.fixtures",
    "tests.services.alertmanager",
    "tests.services.kafka",
    "tests.services.postgres",
    "tests.services.secured_kafka",
    "tests.services.secured_postgres",
    "tests.services.stores",
    "tests.services.streams",
    "tests.services.prometheus",
    "tests.services.ssh_host",
    "tests.doubles.world",
]

# How long an example takes says more of the machine's other work than of the code.
settings.register_profile("quell", deadline=None)
settings.load_profile("quell")

# Where a test file takes minutes: these go first, so that no worker is left alone with one.
LONGEST_FIRST = ("simulation", "scenarios", "app", "demo")
TESTS = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collecting makes thousands of tests, none of them garbage: nothing need look at them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    """Each test is told its own secrets, as a process is: another's would mask its texts."""
    KNOWN.forget()
    yield
    KNOWN.forget()
