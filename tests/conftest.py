"""Fixtures that every test may use: the real services, each started when first asked for."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

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

# How long an example takes says more of the machine's other work than of the code.
settings.register_profile("quell", deadline=None)
settings.load_profile("quell")


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    """Each test is told its own secrets, as a process is: another's would mask its texts."""
    KNOWN.forget()
    yield
    KNOWN.forget()
