"""Silences that people set."""

import sqlalchemy as sa
from alembic import op

revision = "1.9"
down_revision = "1.8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; an older release neither reads nor writes it."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "silences",
        sa.Column("id", name, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("ends_at_us", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_silences_ends_at_us", "silences", ["ends_at_us"])
