"""Several quells on one Kafka and one PostgreSQL, each in a folder of its own, as on machines."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scenarios.marks import MarkedHost
from tests.scenarios.on_kafka import stream_section
from tests.scenarios.quell import Quell
from tests.services.kafka import KafkaBroker
from tests.services.postgres import PostgresServer
from tests.services.process import free_port

# Whose lease on a run it is; "" while no worker has it.
WORKERS = "SELECT worker FROM tasks WHERE kind = 'run' AND worker <> ''"
# Of those, the ones whose incident's last entry is the intent of a change.
CHANGING = (
    "SELECT t.worker FROM tasks t "
    "JOIN heads h ON h.chain = 'incident/' || (t.payload::json ->> 'incident_id') "
    "JOIN entries e ON e.chain = h.chain AND e.seq = h.seq "
    "WHERE t.kind = 'run' AND t.worker <> '' AND e.kind = 'attempt.intended@1'"
)


@dataclass
class Replicas:
    """See `running_replicas`; `all` are those made, whether they run or not."""

    folder: Path
    marked: MarkedHost
    postgres: PostgresServer
    database: str
    stream: Mapping[str, object]
    all: list[Quell] = field(default_factory=list)

    def add(
        self,
        name: str,
        more: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Quell:
        """One more, not started yet; `more` are sections of its own."""
        own = self.folder / name
        own.mkdir()
        shared = {"stream": self.stream, "store": {"url": self.postgres.url(self.database)}}
        sections = {**self.marked.settings(own), **shared, **(more or {})}
        address = f"127.0.0.1:{free_port()}"
        self.all.append(Quell(own, address, sections, ["serve"], environment))
        return self.all[-1]

    def at_work(self) -> list[Quell]:
        """Those that hold a run's lease now."""
        return self._holders(WORKERS)

    def changing(self) -> list[Quell]:
        """Those of whose runs a change is under way."""
        return self._holders(CHANGING)

    def _holders(self, statement: str) -> list[Quell]:
        workers = self.ask(statement).split()
        holders = {int(worker.rpartition("/")[2]) for worker in workers}
        return [each for each in self.all if each.running and each.pid in holders]

    def ask(self, statement: str) -> str:
        """What the common database answers, bare."""
        return self.postgres.ask_of(self.database, statement)

    def check(self, runs: int) -> Mapping[str, int]:
        """All records are accounted for, every trigger has its one run; what became of records.

        Each replica says so, because each reads what all wrote.
        """
        became: dict[str, Any] = {}
        for each in self.all:
            balance = each.verb("balance")
            assert (balance["difference"], balance["waiting"]) == (0, 0), balance
            assert each.verb("audit", "verify")["faults"] == []
            became = balance["dispositions"]
        counted = self.ask("SELECT count(*), count(DISTINCT trigger), count(ended_at_us) FROM runs")
        assert counted.strip().split("|") == [f"{runs}"] * 3
        return became


@contextmanager
def running_replicas(
    folder: Path, marked: MarkedHost, kafka: KafkaBroker, postgres: PostgresServer
) -> Iterator[Replicas]:
    """A database and topics of their own; replicas that still run at the end are killed."""
    database = postgres.create_database()
    replicas = Replicas(folder, marked, postgres, database, stream_section(kafka))
    try:
        yield replicas
    finally:
        for each in replicas.all:
            each.kill()
        postgres.drop_database(database)
