"""Dead letters know what a replay needs, and when they were replayed."""

import sqlalchemy as sa
from alembic import op

revision = "1.2"
down_revision = "1.1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that releases before this one leave out when they insert."""
    op.add_column(
        "dead_letters",
        sa.Column("is_part", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "dead_letters", sa.Column("record_key", sa.Text, nullable=False, server_default="")
    )
    op.add_column("dead_letters", sa.Column("replayed_at_us", sa.BigInteger))
