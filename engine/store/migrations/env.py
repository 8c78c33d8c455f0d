"""Runs under Alembic, on the connection and in the transaction that the store hands over."""

from alembic import context

from engine.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite alters a table by making it anew.
    render_as_batch=True,
    # The caller begins and commits.
    transactional_ddl=False,
)
context.run_migrations()
