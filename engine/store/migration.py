"""Brings a database to this version's tables.

Revisions are named `contraction.expansion`. An expansion leaves what older releases use in
place, so replicas of two releases run side by side; only a contraction ends that.
"""

from dataclasses import dataclass
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from engine.errors import ConfigError


def migrate(connection: Connection) -> None:
    """Upgrade inside the caller's transaction and lock.

    A database that a newer release has only expanded is left as it is; one that it contracted
    raises ConfigError.
    """
    found = MigrationContext.configure(connection).get_current_revision()
    ours = _ours()
    if found == ours.last:
        return
    if found is None or found in ours.known:
        command.upgrade(_config(connection), "head")
        return
    if _contraction(found) > _contraction(ours.last):
        raise ConfigError(
            f"the store is at revision {found} and this release ends at {ours.last}: a newer "
            "release has migrated it, so run that one"
        )


def is_current(connection: Connection) -> bool:
    """Whether the database has the tables that this release reads."""
    found = MigrationContext.configure(connection).get_current_revision()
    ours = _ours()
    if found is None:
        return False
    if found in ours.known:
        return found == ours.last
    return _contraction(found) == _contraction(ours.last)


@dataclass(frozen=True, slots=True)
class _Revisions:
    """This release's own."""

    last: str
    known: frozenset[str]


@cache
def _ours() -> _Revisions:
    """Read once: they are files, each of which is compiled and run to learn its name."""
    scripts = ScriptDirectory.from_config(_config())
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return _Revisions(scripts.get_current_head() or "", known)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "engine.store:migrations")
    config.attributes["connection"] = connection
    return config


def _contraction(revision: str) -> int:
    return int(revision.partition(".")[0])
