"""How each run that reserved targets ended, and an index over the services of the targets."""

import sqlalchemy as sa
from alembic import op

revision = "1.11"
down_revision = "1.10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; an older release leaves it empty, which counts as no failure."""
    op.add_column("reservations", sa.Column("outcome", sa.Text, nullable=False, server_default=""))
    op.create_index("reservations_of_service", "reservations", ["service", "taken_at_us"])
