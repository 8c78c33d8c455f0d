"""What repeats change of an occurrence, apart from its document."""

import sqlalchemy as sa
from alembic import op

revision = "1.10"
down_revision = "1.9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; an older release goes by the documents, which are never far behind."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "notices",
        sa.Column("fingerprint", name, primary_key=True),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.Column("started_at_us", sa.BigInteger, nullable=False),
        sa.Column("last_notice_at_us", sa.BigInteger, nullable=False),
        sa.Column("expires_at_us", sa.BigInteger),
        sa.Column("repeats", sa.BigInteger, nullable=False),
        sa.Column("kept_expiry_us", sa.BigInteger),
    )
