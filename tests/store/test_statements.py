"""Statements in two spellings, and few shapes of them."""

import pytest
from sqlalchemy import Dialect, Executable, bindparam, create_engine, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import ClauseElement

from engine.store.statements import (
    Spelled,
    bare_each,
    bare_rows,
    chunked,
    first_row,
    insert_new,
    upsert,
)
from engine.store.tables import counters, heads

SQLITE = make_url("sqlite://").get_dialect()()
POSTGRESQL = make_url("postgresql+asyncpg://").get_dialect()()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 512, 513, 1300])
def test_chunks_hold_every_key_in_few_lengths(count: int) -> None:
    keys = [f"k{n}" for n in range(count)]
    parts = chunked(keys)
    assert sorted({key for part in parts for key in part}) == sorted(keys)
    assert {len(part) for part in parts} <= {2**n for n in range(10)}
    assert sum(map(len, parts)) < 2 * max(count, 1)


def test_an_upsert_changes_all_but_the_key_or_what_is_said() -> None:
    by_default = compiled(upsert(heads).sqlite, SQLITE)
    assert "ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq" in by_default
    assert "chain = excluded.chain" not in by_default
    adding = upsert(counters, lambda new: {"value": counters.c.value + new.value})
    for statement, dialect in (
        (adding.sqlite, SQLITE),
        (adding.postgresql, POSTGRESQL),
    ):
        told = compiled(statement, dialect)
        assert "(name, shard) DO UPDATE SET value = (counters.value + excluded.value)" in told


def compiled(statement: Executable, dialect: Dialect) -> str:
    assert isinstance(statement, ClauseElement)
    return str(statement.compile(dialect=dialect))


def test_a_connection_gets_its_own_spelling() -> None:
    statement = insert_new(heads)
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert statement.on(connection) is statement.sqlite
    engine.dispose()


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_values_go_to_the_driver_in_the_order_of_the_columns(dialect: Dialect) -> None:
    statement = upsert(heads)
    told = compiled(statement.sqlite if dialect is SQLITE else statement.postgresql, dialect)
    places = (
        "(?, ?, ?)" if dialect is SQLITE else '($1::VARCHAR COLLATE "C", $2::BIGINT, $3::VARCHAR)'
    )
    assert f"(chain, seq, entry_hash) VALUES {places} ON CONFLICT" in told


def test_rows_are_put_by_position() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        heads.create(connection)
        upsert(heads).put(connection, [("a", 1, "x"), ("b", 1, "y")])
        upsert(heads).put(connection, [("a", 2, "z")])
        upsert(heads).put(connection, [])
        assert set(connection.execute(heads.select())) == {("a", 2, "z"), ("b", 1, "y")}
    engine.dispose()


def test_values_of_a_bare_statement_are_found_by_name() -> None:
    later = select(heads.c.seq).where(
        heads.c.seq > bindparam("after"), heads.c.chain == bindparam("of")
    )
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        heads.create(connection)
        upsert(heads).put(connection, [("a", 3, "x"), ("b", 1, "y")])
        assert bare_rows(connection, later, {"of": "a", "after": 2}) == [(3,)]
        assert first_row(connection, later, {"of": "b", "after": 0}) == (1,)
        assert first_row(connection, later, {"of": "b", "after": 1}) is None
        with pytest.raises(KeyError, match="after"):
            bare_rows(connection, later, {"of": "a"})
    engine.dispose()


def test_values_that_a_bare_statement_has_itself_needn_t_be_given() -> None:
    newest = select(heads.c.chain).where(heads.c.seq > 0).order_by(heads.c.seq.desc()).limit(1)
    moved = heads.update().where(heads.c.chain == bindparam("of")).values(seq=bindparam("to"))
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        heads.create(connection)
        upsert(heads).put(connection, [("a", 3, "x"), ("b", 1, "y")])
        assert bare_rows(connection, newest, {}) == [("a",)]
        bare_each(connection, moved, [{"of": "a", "to": 4}, {"of": "b", "to": 5}])
        assert bare_rows(connection, newest, {}) == [("b",)]
    engine.dispose()


def test_a_row_that_collides_is_the_same_error_as_elsewhere() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        heads.create(connection)
        adding = Spelled(insert(heads), insert(heads))
        adding.put(connection, [("a", 1, "x")])
        with pytest.raises(IntegrityError):
            adding.put(connection, [("a", 2, "y")])
    engine.dispose()
