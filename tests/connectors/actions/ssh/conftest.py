"""The bench and the relay as fixtures."""

from collections.abc import AsyncIterator

import pytest

from tests.connectors.actions.ssh.bench import Bench, Relay, StartBench
from tests.services.ssh_host import SshHost


@pytest.fixture
async def start(ssh_host: SshHost) -> AsyncIterator[StartBench]:
    benches: list[Bench] = []

    def begin(**config: object) -> Bench:
        benches.append(Bench(ssh_host, **config))
        return benches[-1]

    yield begin
    for bench in benches:
        await bench.run.close()


@pytest.fixture
async def relay(ssh_host: SshHost) -> AsyncIterator[Relay]:
    async with Relay(ssh_host.port) as relay:
        yield relay
