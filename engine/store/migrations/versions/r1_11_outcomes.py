"""How each run ended, the services of reservations, and the targets on which something fires."""

import sqlalchemy as sa
from alembic import op

revision = "1.11"
down_revision = "1.10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns; an older release leaves them empty: no failure, and no target that is known."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("open_occurrences", sa.Column("target", name, nullable=False, server_default=""))
    op.add_column("reservations", sa.Column("outcome", sa.Text, nullable=False, server_default=""))
    op.create_index("reservations_of_service", "reservations", ["service", "taken_at_us"])
