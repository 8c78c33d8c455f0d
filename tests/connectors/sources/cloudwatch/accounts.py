"""An account that is asked at the double, and a taker that remembers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from typing_extensions import override

from connectors.sources.cloudwatch.api import AwsAccount
from connectors.sources.cloudwatch.config import AccountConfig
from engine.core.alert import Alert
from engine.errors import PayloadError
from engine.ports import strict_json
from engine.ports.blocking import BoundedThreads
from engine.ports.source import Source, Taker
from tests.contracts.source_case import NOW

REGION = "eu-central-1"


@contextmanager
def account(url: str, **settings: Any) -> Iterator[AwsAccount]:
    threads = BoundedThreads("aws", 4)
    given = {"id": "123456789012", "regions": [REGION], "endpoint_url": url, **settings}
    try:
        yield AwsAccount(AccountConfig.model_validate(given), threads)
    finally:
        threads.close()


@dataclass
class Taken(Taker):
    """What was taken, as the keeper would understand it; `faults` are raised first."""

    now: datetime = NOW
    alerts: list[Alert] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    bodies: int = 0
    faults: list[Exception | None] = field(default_factory=list)

    @override
    async def take(self, source: Source, body: bytes) -> None:
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        self.bodies += 1
        try:
            parsed = source.parse(strict_json.decode(body), self.now)
        except PayloadError:
            self.letters.append(body)
            return
        self.alerts += parsed.alerts
        self.letters += [each.raw for each in parsed.rejected]

    @override
    async def keep(self, source: Source, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    def told(self) -> list[tuple[str, str]]:
        """Names and statuses since this was last asked."""
        told: list[tuple[str, str]] = [(alert.name, alert.status) for alert in self.alerts]
        self.alerts.clear()
        return told
