"""What is on until a person turns it off."""

import sqlalchemy as sa
from alembic import op

revision = "1.12"
down_revision = "1.11"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; an older release neither reads nor writes it."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "switches",
        sa.Column("name", name, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )
