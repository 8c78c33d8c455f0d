"""What tests of the rows share."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from engine.store.migration import migrate


@pytest.fixture
def connection() -> Iterator[Connection]:
    """To a database in memory, with this version's tables and nothing in them."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrate(connection)
        yield connection
    engine.dispose()
