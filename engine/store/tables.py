"""The tables, as the newest migration leaves them; times are integer microseconds, UTC."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    literal_column,
)
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

METADATA = MetaData()

# Byte order everywhere, so that a range over an index finds a prefix whatever the locale.
_Id = Text().with_variant(Text(collation="C"), "postgresql")


class FreeText(TypeDecorator[str]):
    """Text from outside: PostgreSQL can't keep NUL, and no database keeps lone surrogates."""

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return value and storable(value)


def storable(text: str) -> str:
    """The text without what a database refuses; for rows that go to the driver as they are."""
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


entries = Table(
    "entries",
    METADATA,
    Column("chain", _Id, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("prev_hash", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("catalog", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary),
    Column("body_hash", Text, nullable=False),
    Column("entry_hash", Text, nullable=False),
)

heads = Table(
    "heads",
    METADATA,
    Column("chain", _Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("entry_hash", Text, nullable=False),
)

# Apart from the heads, so that no append waits for a checkpoint.
checkpointed = Table(
    "checkpointed",
    METADATA,
    Column("chain", _Id, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

texts = Table(
    "texts",
    METADATA,
    Column("sha256", _Id, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

positions = Table(
    "positions",
    METADATA,
    Column("stream", _Id, primary_key=True),
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)

# Below a position they mean nothing; a replica of an older release leaves them.
decided_ahead = Table(
    "decided_ahead",
    METADATA,
    Column("stream", _Id, primary_key=True),
    Column("partition", BigInteger, primary_key=True, autoincrement=False),
    Column("record_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("record_hash", Text, nullable=False),
)

# Sharded, so that replicas don't queue for one row until each other's commit.
counters = Table(
    "counters",
    METADATA,
    Column("name", _Id, primary_key=True),
    Column("shard", BigInteger, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

occurrences = Table(
    "occurrences",
    METADATA,
    Column("fingerprint", _Id, primary_key=True),
    Column("document", Text, nullable=False),
)

# What repeats made of an occurrence since its document, the one of this digest, was written: a row
# of any other digest says nothing. Releases before revision 1.10 read and write documents alone.
notices = Table(
    "notices",
    METADATA,
    Column("fingerprint", _Id, primary_key=True),
    Column("digest", BigInteger, nullable=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("last_notice_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger),
    Column("repeats", BigInteger, nullable=False),
    Column("kept_expiry_us", BigInteger),
)

# Only open occurrences are here: what still fires in which incident.
open_occurrences = Table(
    "open_occurrences",
    METADATA,
    Column("fingerprint", _Id, primary_key=True),
    Column("incident_id", _Id, primary_key=True),
    Column("target", _Id, nullable=False, server_default=""),
    Index("open_occurrences_of_incident", "incident_id"),
)

# What rules count, a row for each group of a rule; see engine.core.conditions.
groups = Table(
    "groups",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("document", Text, nullable=False),
    Column("touched_at_us", BigInteger, nullable=False, index=True),
)

# Why an open occurrence doesn't act by a rule yet.
holds = Table(
    "holds",
    METADATA,
    Column("fingerprint", _Id, primary_key=True),
    Column("rule_id", _Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("waits_for", _Id, nullable=False, index=True),
    Column("part", BigInteger, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("until_us", BigInteger),
    Column("partition_key", FreeText, nullable=False),
)

# Which open occurrences hold others back, by what these have in common with them.
inhibitors = Table(
    "inhibitors",
    METADATA,
    Column("key", _Id, primary_key=True),
    Column("fingerprint", _Id, primary_key=True),
    Index("inhibitors_of_fingerprint", "fingerprint"),
)

silences = Table(
    "silences",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("document", Text, nullable=False),
    Column("ends_at_us", BigInteger, nullable=False, index=True),
)

incidents = Table(
    "incidents",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("correlation_key", _Id, nullable=False),
    Column("status", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("service", FreeText, nullable=False),
    Column("document", Text, nullable=False),
)

# A literal, not a bound value: the planner uses a partial index only where it sees its condition.
IS_LIVE = incidents.c.status != literal_column("'closed'")
Index(
    "one_live_incident",
    incidents.c.correlation_key,
    unique=True,
    sqlite_where=IS_LIVE,
    postgresql_where=IS_LIVE,
)
Index("incidents_of_service", incidents.c.service, incidents.c.number)
Index("incidents_of_key", incidents.c.correlation_key, incidents.c.number)

runs = Table(
    "runs",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("incident_id", _Id, nullable=False),
    Column("trigger", Text, nullable=False, unique=True),
    Column("playbook_id", Text, nullable=False),
    Column("playbook_hash", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger),
)

IS_ACTIVE = runs.c.ended_at_us.is_(None)
Index(
    "active_runs",
    runs.c.created_at_us,
    sqlite_where=IS_ACTIVE,
    postgresql_where=IS_ACTIVE,
)

stops = Table(
    "stops",
    METADATA,
    Column("scope", _Id, primary_key=True),
    Column("name", _Id, primary_key=True),
    Column("actor", FreeText, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

# One row, which is only ever locked: shared by who is about to change something, exclusively by
# who orders or lifts a stop.
kill_switch = Table(
    "kill_switch",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
)

# What is on until a person turns it off.
switches = Table(
    "switches",
    METADATA,
    Column("name", _Id, primary_key=True),
    Column("actor", FreeText, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

# One row for each target of a run that changed something, or was about to; and for each target or
# service that somebody else changed, who told of it.
reservations = Table(
    "reservations",
    METADATA,
    Column("run_id", _Id, primary_key=True),
    Column("target", _Id, primary_key=True),
    Column("playbook_id", _Id, nullable=False),
    Column("rule_id", _Id, nullable=False),
    Column("service", FreeText, nullable=False),
    Column("incident_id", _Id, nullable=False),
    Column("incident", Text, nullable=False),
    Column("taken_at_us", BigInteger, nullable=False),
    Column("released_at_us", BigInteger),
    Column("outcome", Text, nullable=False, server_default=""),
    Index("reservations_of_target", "target", "taken_at_us"),
    Index("reservations_of_playbook", "playbook_id", "taken_at_us"),
    Index("reservations_of_service", "service", "taken_at_us"),
)
IS_HELD = reservations.c.released_at_us.is_(None)
Index(
    "held_reservations",
    reservations.c.taken_at_us,
    sqlite_where=IS_HELD,
    postgresql_where=IS_HELD,
)

# Only ever locked, by who counts reservations before adding to them.
guards = Table("guards", METADATA, Column("key", _Id, primary_key=True))

approvals = Table(
    "approvals",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("run_id", _Id, nullable=False, index=True),
    Column("incident_id", _Id, nullable=False, index=True),
    Column("plan_hash", Text, nullable=False),
    Column("ask", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("decided_at_us", BigInteger),
    Column("actor", FreeText, nullable=False),
)

# `due_at_us` is when it may next be claimed: not before `not_before_us`, nor during a lease.
# `generation` rises whenever it is put or woken, so that a finish can tell what it has not seen.
tasks = Table(
    "tasks",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("not_before_us", BigInteger, nullable=False),
    Column("due_at_us", BigInteger, nullable=False),
    Column("lease_until_us", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    CheckConstraint("priority BETWEEN 1 AND 4", name="priority_is_a_severity"),
    Index("tasks_by_urgency", "priority", "due_at_us", "kind"),
    Index("tasks_by_time", "due_at_us"),
)

dead_letters = Table(
    "dead_letters",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("source", FreeText, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("field", FreeText, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("first_at_us", BigInteger, nullable=False),
    Column("last_at_us", BigInteger, nullable=False, index=True),
    Column("seen", BigInteger, nullable=False),
    Column("is_part", Boolean, nullable=False, server_default=false()),
    Column("record_key", FreeText, nullable=False, server_default=""),
    Column("replayed_at_us", BigInteger),
    # Of the whole letter, and of what is kept of it; absent in what older releases insert.
    Column("size", BigInteger),
    Column("kept_bytes", BigInteger),
    # Both, so that what all letters take is counted in the index alone.
    Index("dead_letters_by_size", "kept_bytes", "size"),
)

IS_REPLAYED = dead_letters.c.replayed_at_us.is_not(None)
Index(
    "replayed_dead_letters",
    dead_letters.c.replayed_at_us,
    sqlite_where=IS_REPLAYED,
    postgresql_where=IS_REPLAYED,
)
