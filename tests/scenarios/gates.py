"""Gates in a PostgreSQL store: the transaction that writes an incident's n-th entry waits at one.

On side BEFORE it waits with the entry unwritten, on side AFTER in the middle of its commit. It
waits in the server, so it can lose its client meanwhile. Opened, it goes on: without a client,
only a commit that was asked for already is done.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from tests.services.postgres import PostgresServer

Side = Literal["BEFORE", "AFTER"]
SIDES: tuple[Side, ...] = ("BEFORE", "AFTER")
# Marks the gates' advisory locks, which only say who waits where.
LOCKS = 4711

_SET_UP = f"""
CREATE TABLE gates (word text PRIMARY KEY, seq bigint, side text, key serial, open boolean);
CREATE TABLE gated (chain text PRIMARY KEY, word text);

CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gate int;
BEGIN
    IF TG_WHEN = 'BEFORE' AND NEW.seq = 1 THEN
        INSERT INTO gated SELECT NEW.chain, word FROM gates
            WHERE position(word IN convert_from(NEW.body, 'UTF8')) > 0;
    END IF;
    SELECT key INTO gate FROM gates JOIN gated USING (word)
        WHERE chain = NEW.chain AND seq = NEW.seq AND side = TG_WHEN AND NOT open;
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock({LOCKS}, gate);
        WHILE EXISTS (SELECT FROM gates WHERE key = gate AND NOT open) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER gate_before BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
CREATE CONSTRAINT TRIGGER gate_after AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """Where the incident is to wait whose first entry has this word in it, and no other gate's."""

    word: str
    seq: int
    side: Side


@dataclass(frozen=True, slots=True)
class Gates:
    """Of one database, which quell has migrated."""

    server: PostgresServer
    database: str

    def set_up(self) -> None:
        self.ask(_SET_UP)

    def close(self, gates: Collection[Gate]) -> None:
        """Before their incidents are there."""
        rows = ", ".join(f"('{each.word}', {each.seq}, '{each.side}', false)" for each in gates)
        self.ask(f"INSERT INTO gates (word, seq, side, open) VALUES {rows}")

    def reached(self) -> set[str]:
        """The words of those where somebody waits."""
        waiting = self.ask(
            "SELECT word FROM gates JOIN pg_locks ON objid = key "
            f"WHERE locktype = 'advisory' AND classid = {LOCKS} AND granted"
        )
        return set(waiting.split())

    def holds_up_pipeline(self) -> bool:
        """Whether a pipeline waits to move a position that somebody at a gate has moved."""
        waiting = self.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query LIKE '%positions%'"
        )
        return int(waiting) > 0

    def open(self) -> None:
        """All of them, for good."""
        self.ask("UPDATE gates SET open = true")

    def now_s(self) -> float:
        """The database's time."""
        return float(self.ask("SELECT extract(epoch FROM clock_timestamp())"))

    def ask(self, statement: str) -> str:
        """What the database answers to the superuser, bare."""
        return self.server.ask_of(self.database, statement)
