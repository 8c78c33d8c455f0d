"""Actions that other packages bring along: entry points of the group `quell.connectors`.

They run with quell's own rights, so installing one is a decision like installing quell.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from engine.errors import ConfigError
from engine.ports.outside_action import API_VERSION, ENTRY_POINTS, OutsideAction


@lru_cache(maxsize=1)
def outside_actions() -> Sequence[type[OutsideAction]]:
    """The classes of all installed packages, by the names of their entry points.

    Raises ConfigError where one can't be imported or is made for another version.
    """
    return load(entry_points(group=ENTRY_POINTS))


def load(found: Iterable[EntryPoint]) -> Sequence[type[OutsideAction]]:
    """The classes behind entry points. Raises ConfigError, naming the package."""
    return [_loaded(each) for each in sorted(found, key=lambda each: each.name)]


def _loaded(entry: EntryPoint) -> type[OutsideAction]:
    package = entry.dist.name if entry.dist is not None else "unknown"
    what = f"connector {entry.name!r} of the package {package!r} ({entry.value})"
    try:
        action: type[OutsideAction] = entry.load()
    except Exception as error:
        raise ConfigError(f"{what} can't be loaded: {type(error).__name__}: {error}") from error
    version = getattr(action, "API_VERSION", None)
    if version != API_VERSION:
        raise ConfigError(
            f"{what} is made for version {version} of connectors, and this quell has "
            f"{API_VERSION}; install a version of {package!r} that fits"
        )
    return action
