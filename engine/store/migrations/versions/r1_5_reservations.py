"""What runs reserve of their targets, and the rows that guards lock."""

import sqlalchemy as sa
from alembic import op

revision = "1.5"
down_revision = "1.4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Runs under way from before hold nothing: they end as they began."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "reservations",
        sa.Column("run_id", name, primary_key=True),
        sa.Column("target", name, primary_key=True),
        sa.Column("playbook_id", name, nullable=False),
        sa.Column("rule_id", name, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("incident_id", name, nullable=False),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("taken_at_us", sa.BigInteger, nullable=False),
        sa.Column("released_at_us", sa.BigInteger),
    )
    op.create_index("reservations_of_target", "reservations", ["target", "taken_at_us"])
    op.create_index("reservations_of_playbook", "reservations", ["playbook_id", "taken_at_us"])
    is_held = sa.text("released_at_us IS NULL")
    op.create_index(
        "held_reservations",
        "reservations",
        ["taken_at_us"],
        sqlite_where=is_held,
        postgresql_where=is_held,
    )
    op.create_table("guards", sa.Column("key", name, primary_key=True))
