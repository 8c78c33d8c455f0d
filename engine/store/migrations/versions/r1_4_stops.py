"""Stops, the kill switch that guards them, and an index over the runs that a stop must wake."""

import sqlalchemy as sa
from alembic import op

revision = "1.4"
down_revision = "1.3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and the switch's only row."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "stops",
        sa.Column("scope", name, primary_key=True),
        sa.Column("name", name, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )
    switch = op.create_table(
        "kill_switch",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.bulk_insert(switch, [{"id": 1}])
    is_active = sa.text("ended_at_us IS NULL")
    op.create_index(
        "active_runs",
        "runs",
        ["created_at_us"],
        sqlite_where=is_active,
        postgresql_where=is_active,
    )
