"""Dead letters know what they take, so that they can be bounded, and what was too much to keep."""

import sqlalchemy as sa
from alembic import op

revision = "1.6"
down_revision = "1.5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that releases before this one leave out; what they insert is filled in later."""
    op.add_column("dead_letters", sa.Column("size", sa.BigInteger))
    op.add_column("dead_letters", sa.Column("kept_bytes", sa.BigInteger))
    op.execute("UPDATE dead_letters SET size = length(body), kept_bytes = length(body)")
    op.create_index("dead_letters_by_size", "dead_letters", ["kept_bytes", "size"])
    is_replayed = sa.text("replayed_at_us IS NOT NULL")
    op.create_index(
        "replayed_dead_letters",
        "dead_letters",
        ["replayed_at_us"],
        sqlite_where=is_replayed,
        postgresql_where=is_replayed,
    )
