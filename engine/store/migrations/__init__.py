"""Migrations, read by Alembic from inside the wheel; each file in versions/ is one revision."""
