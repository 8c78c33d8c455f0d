"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "1.1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    _journal()
    _accounting()
    _incidents()
    _runs()
    _tasks()
    if op.get_bind().dialect.name == "sqlite":
        # One writer: a row will do. On PostgreSQL writers would queue for it.
        numbers = op.create_table(
            "numbers",
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("value", sa.BigInteger, nullable=False),
        )
        op.bulk_insert(
            numbers,
            [{"name": "incident_number", "value": 0}, {"name": "lease_token", "value": 0}],
        )
    else:
        op.execute("CREATE SEQUENCE incident_number")
        op.execute("CREATE SEQUENCE lease_token")


def _id(name: str, *, key: bool = False) -> sa.Column[str]:
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(name, kind, primary_key=key, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _integer(name: str, *, key: bool = False) -> sa.Column[int]:
    # SQLite would take a lone integer key as its row number; here keys have several columns.
    return sa.Column(name, sa.BigInteger, primary_key=key, nullable=False, autoincrement=False)


def _bytes(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=nullable)


def _journal() -> None:
    op.create_table(
        "entries",
        _id("chain", key=True),
        _integer("seq", key=True),
        _text("prev_hash"),
        _text("kind"),
        _integer("at_us"),
        _text("actor"),
        _text("catalog"),
        _bytes("salt"),
        _bytes("body", nullable=True),
        _text("body_hash"),
        _text("entry_hash"),
    )
    op.create_table("heads", _id("chain", key=True), _integer("seq"), _text("entry_hash"))
    op.create_table("texts", _id("sha256", key=True), _bytes("body"))


def _accounting() -> None:
    op.create_table(
        "positions",
        _id("stream", key=True),
        _integer("partition", key=True),
        _integer("next_offset"),
    )
    op.create_table(
        "counters", _id("name", key=True), _integer("shard", key=True), _integer("value")
    )
    op.create_table(
        "dead_letters",
        _id("id", key=True),
        _text("source"),
        _text("reason"),
        _text("field"),
        _bytes("body"),
        _integer("first_at_us"),
        _integer("last_at_us"),
        _integer("seen"),
    )
    op.create_index("ix_dead_letters_last_at_us", "dead_letters", ["last_at_us"])


def _incidents() -> None:
    op.create_table("occurrences", _id("fingerprint", key=True), _text("document"))
    op.create_table("open_occurrences", _id("fingerprint", key=True), _id("incident_id", key=True))
    op.create_index("open_occurrences_of_incident", "open_occurrences", ["incident_id"])
    op.create_table(
        "incidents",
        _id("id", key=True),
        _integer("number"),
        _id("correlation_key"),
        _text("status"),
        _text("severity"),
        _text("service"),
        _text("document"),
        sa.UniqueConstraint("number"),
    )
    is_live = sa.text("status <> 'closed'")
    op.create_index(
        "one_live_incident",
        "incidents",
        ["correlation_key"],
        unique=True,
        sqlite_where=is_live,
        postgresql_where=is_live,
    )
    op.create_index("incidents_of_service", "incidents", ["service", "number"])


def _runs() -> None:
    op.create_table(
        "runs",
        _id("id", key=True),
        _id("incident_id"),
        _text("trigger"),
        _text("playbook_id"),
        _text("playbook_hash"),
        _text("phase"),
        _text("outcome"),
        _integer("created_at_us"),
        sa.Column("ended_at_us", sa.BigInteger),
        sa.UniqueConstraint("trigger"),
    )
    op.create_table(
        "approvals",
        _id("id", key=True),
        _id("run_id"),
        _id("incident_id"),
        _text("plan_hash"),
        _text("ask"),
        _text("state"),
        _integer("requested_at_us"),
        _integer("expires_at_us"),
        sa.Column("decided_at_us", sa.BigInteger),
        _text("actor"),
    )
    op.create_index("ix_approvals_run_id", "approvals", ["run_id"])
    op.create_index("ix_approvals_incident_id", "approvals", ["incident_id"])


def _tasks() -> None:
    op.create_table(
        "tasks",
        _id("id", key=True),
        _text("kind"),
        _text("payload"),
        _integer("priority"),
        _integer("not_before_us"),
        _integer("due_at_us"),
        _integer("lease_until_us"),
        _text("worker"),
        _integer("token"),
        _integer("generation"),
        _integer("failures"),
        sa.CheckConstraint("priority BETWEEN 1 AND 4", name="priority_is_a_severity"),
    )
    op.create_index("tasks_by_urgency", "tasks", ["priority", "due_at_us", "kind"])
    op.create_index("tasks_by_time", "tasks", ["due_at_us"])
