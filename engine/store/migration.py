"""Brings a database to this version's tables.

Revisions are named `contraction.expansion`. An expansion leaves what older releases use in
place, so replicas of two releases run side by side; only a contraction ends that.
"""

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
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None or any(script.revision == found for script in scripts.walk_revisions()):
        command.upgrade(config, "head")
        return
    ours = scripts.get_current_head() or ""
    if _contraction(found) > _contraction(ours):
        raise ConfigError(
            f"the store is at revision {found} and this release ends at {ours}: a newer release "
            "has migrated it, so run that one"
        )


def is_current(connection: Connection) -> bool:
    """Whether the database has the tables that this release reads."""
    scripts = ScriptDirectory.from_config(_config(connection))
    found = MigrationContext.configure(connection).get_current_revision()
    ours = scripts.get_current_head() or ""
    if found is None:
        return False
    if found in {script.revision for script in scripts.walk_revisions()}:
        return found == ours
    return _contraction(found) == _contraction(ours)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "engine.store:migrations")
    config.attributes["connection"] = connection
    return config


def _contraction(revision: str) -> int:
    return int(revision.partition(".")[0])
