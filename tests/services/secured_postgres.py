"""A PostgreSQL server that lets nobody in but by TLS, with a password or a client certificate."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.services.certificates import Authority, Certificate
from tests.services.postgres import SERVICE_USER, PostgresServer

HOST = "localhost"  # of the server's certificate, which is made out to no other name
USER = "quell"
PASSWORD = "s3cret-of-quell"
CERTIFIED_USER = "quell_certified"
"""Comes with a client certificate and no password."""
ACCESS = f"""
host     all  postgres          127.0.0.1/32  trust
hostssl  all  {USER}             127.0.0.1/32  scram-sha-256
hostssl  all  {CERTIFIED_USER}   127.0.0.1/32  cert
"""


@dataclass(frozen=True, slots=True)
class SecuredPostgres:
    """The server, and what opens it."""

    server: PostgresServer
    authority: Authority
    client: Certificate
    database: str
    """Empty, and owned by the two users' common role, which owns nothing else."""

    def url(
        self, user: str = f"{USER}:{PASSWORD}", host: str = HOST, **parameters: str | Path
    ) -> str:
        query = {"sslmode": "verify-full", "sslrootcert": self.authority.certificate} | parameters
        return (
            f"postgresql://{user}@{host}:{self.server.port}/{self.database}?"
            f"{urlencode({name: value for name, value in query.items() if value})}"
        )


@pytest.fixture(scope="session")
def _secured_server() -> Iterator[tuple[PostgresServer, Authority, Certificate]]:
    """One server a test worker."""
    folder = Path(tempfile.mkdtemp(prefix="quell-secured-postgres-"))
    authority = Authority(folder / "authority")
    own = authority.issue("server", [HOST])
    if os.getuid() == 0:
        for path in (folder / "authority", own.key):
            shutil.chown(path, SERVICE_USER, SERVICE_USER)
    settings = (
        *("ssl=on", f"ssl_cert_file={own.certificate}", f"ssl_key_file={own.key}"),
        f"ssl_ca_file={authority.certificate}",
    )
    server = PostgresServer(folder, settings, ACCESS)
    try:
        server.start()
        server.ask(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        server.ask(f"CREATE ROLE {CERTIFIED_USER} LOGIN IN ROLE {USER}")
        yield server, authority, authority.issue(CERTIFIED_USER)
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture
def secured_postgres(
    _secured_server: tuple[PostgresServer, Authority, Certificate],
) -> Iterator[SecuredPostgres]:
    """With a fresh, empty database, dropped after the test."""
    server, authority, client = _secured_server
    name = server.create_database()
    server.ask(f"ALTER DATABASE {name} OWNER TO {USER}")
    yield SecuredPostgres(server, authority, client, name)
    server.drop_database(name)
