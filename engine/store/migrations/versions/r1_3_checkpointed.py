"""Up to which entry each chain is named by a checkpoint."""

import sqlalchemy as sa
from alembic import op

revision = "1.3"
down_revision = "1.2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table: apart from the heads, so that no append waits for a checkpoint."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "checkpointed",
        sa.Column("chain", name, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
