"""A PostgreSQL server on a loopback port of its own, with a fresh database for each test."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.services.process import STOP_DEADLINE_S, Process, ServiceError, free_port, run

# PostgreSQL refuses to run as root; Debian's package brings this user.
SERVICE_USER = "postgres"
CLUSTER_OPTIONS = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
SERVER_SETTINGS = ("unix_socket_directories=", "max_connections=200", "shared_buffers=32MB")
EMPTY = "template0"
BARE_OUTPUT = ("-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1")


def postgres_folder() -> Path:
    """The newest installed version's folder of programs (Debian keeps them off the path)."""
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders and (found := shutil.which("postgres")):
        folders = [Path(found).resolve().parent]
    if not folders:
        raise ServiceError("PostgreSQL is not installed; `make system-packages` installs it")
    return max(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))])


class PostgresServer:
    """A cluster whose data and port outlive its process, so that it can die and come back."""

    def __init__(self, folder: Path, settings: Sequence[str] = (), access: str = "") -> None:
        """`folder` must be one that SERVICE_USER can reach, when the tests run as root.

        `settings` are added, as name=value; `access` is its pg_hba.conf, if it has one of its own.
        """
        self._access = access
        self.port = free_port()
        self._data = folder / "data"
        self._programs = postgres_folder()
        self._user = SERVICE_USER if os.getuid() == 0 else ""
        if self._user:
            shutil.chown(folder, self._user, self._user)
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            *SERVER_SETTINGS,
            *settings,
        )
        self._process = Process(
            [
                *(self._programs / "postgres", "-D", self._data),
                *(part for setting in settings for part in ("-c", setting)),
            ],
            log=folder / "postgres.log",
            user=self._user,
        )

    def start(self) -> None:
        """Start it, or start it again with the data that it had, and wait until it serves."""
        if not self._data.exists():
            initdb = self._programs / "initdb"
            run([initdb, "-D", self._data, *CLUSTER_OPTIONS], user=self._user)
            if self._access:
                (self._data / "pg_hba.conf").write_text(self._access)
        self._process.start(self._serves)

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()

    def stop_fast(self) -> None:
        """Stop without waiting for clients, as a restart by systemd does."""
        self._process.signal(signal.SIGINT)
        self._process.wait(STOP_DEADLINE_S)

    def pause(self) -> None:
        """Freeze it with all its backends: connections stay, and nothing answers any more."""
        server = psutil.Process(self._process.pid)
        # First, because it can start no more backends then.
        server.suspend()
        for backend in server.children(recursive=True):
            backend.suspend()

    def go_on(self) -> None:
        """End a pause."""
        server = psutil.Process(self._process.pid)
        for process in (*server.children(recursive=True), server):
            process.resume()

    def url(self, database: str) -> str:
        """As SQLAlchemy wants it."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = EMPTY) -> str:
        """Make a database as the template is and return its name."""
        names = self.ask("SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%'").split()
        name = f"test_{1 + max((int(name.split('_')[1]) for name in names), default=0)}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is still connected."""
        self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    def _serves(self) -> bool:
        try:
            run([self._programs / "pg_isready", *self._address])
        except ServiceError:
            return False
        return True

    def ask(self, statement: str) -> str:
        """What one statement answers to the superuser, bare."""
        return self.ask_of("postgres", statement)

    def ask_of(self, database: str, statement: str) -> str:
        """The same, in one database."""
        options = (*self._address, "-U", "postgres", "-d", database, *BARE_OUTPUT)
        return run([self._programs / "psql", *options, "-c", statement])

    @property
    def _address(self) -> tuple[str, ...]:
        return "-h", "127.0.0.1", "-p", str(self.port)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server of its own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="quell-postgres-"))
    server = PostgresServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server a test worker. A test that stops it starts it again before it ends."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty database; dropped after the test."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)
