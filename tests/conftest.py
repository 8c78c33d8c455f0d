"""Fixtures that every test may use: the real services, each started when first asked for."""

from collections.abc import Iterator

import pytest

from engine.ports.known_secrets import KNOWN

pytest_plugins = [
    "tests.doubles.world",
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
]


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    """Each test is told its own secrets, as a process is: another's would mask its texts."""
    KNOWN.forget()
    yield
    KNOWN.forget()
