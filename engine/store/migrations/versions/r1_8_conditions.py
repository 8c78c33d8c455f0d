"""What rules count, which occurrences wait, and which hold others back."""

import sqlalchemy as sa
from alembic import op

revision = "1.8"
down_revision = "1.7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; an older release neither reads nor writes them."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "groups",
        sa.Column("id", name, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("touched_at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_groups_touched_at_us", "groups", ["touched_at_us"])
    op.create_table(
        "holds",
        sa.Column("fingerprint", name, primary_key=True),
        sa.Column("rule_id", name, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("waits_for", name, nullable=False),
        sa.Column("part", sa.BigInteger, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger),
        sa.Column("partition_key", sa.Text, nullable=False),
    )
    op.create_index("ix_holds_waits_for", "holds", ["waits_for"])
    op.create_table(
        "inhibitors",
        sa.Column("key", name, primary_key=True),
        sa.Column("fingerprint", name, primary_key=True),
    )
    op.create_index("inhibitors_of_fingerprint", "inhibitors", ["fingerprint"])
    op.create_index("incidents_of_key", "incidents", ["correlation_key", "number"])
