"""Records that were decided on ahead of those in front of them."""

import sqlalchemy as sa
from alembic import op

revision = "1.13"
down_revision = "1.12"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; an older release decides once more on what is in it: a repeat."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "decided_ahead",
        sa.Column("stream", name, primary_key=True),
        sa.Column("partition", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("record_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("record_hash", sa.Text, nullable=False),
    )
