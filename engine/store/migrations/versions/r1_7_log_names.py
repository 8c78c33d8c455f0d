"""Positions go by the log's name, `<stream>@<id>`; the embedded one's was spelled with a /."""

from alembic import op

revision = "1.7"
down_revision = "1.6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Spell it anew."""
    op.execute(
        "UPDATE positions SET stream = 'embedded@' || substr(stream, 10) "
        "WHERE stream LIKE 'embedded/%'"
    )
