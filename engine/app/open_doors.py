"""Whether other machines could come in without credentials, as quell is configured."""

from collections.abc import Mapping, Sequence

from engine.errors import ConfigError
from engine.ports.source import Source
from engine.settings import Settings


def open_doors(settings: Settings, sources: Mapping[str, Sequence[Source]]) -> str:
    """What has to be set before quell may listen there; "" where nobody could come in."""
    if settings.loopback:
        return ""
    missing = [] if settings.access.token is not None else ["access.token"]
    missing += sorted(
        f"credentials at sources.{name}"
        for name, found in sources.items()
        for source in found
        if source.name == name and not source.has_credentials
    )
    if not missing:
        return ""
    return (
        f"{settings.listen} can be reached from other machines: set "
        f"{' and '.join(missing)}, or listen on 127.0.0.1"
    )


def refuse_open_doors(settings: Settings, sources: Mapping[str, Sequence[Source]]) -> None:
    """Raises ConfigError where other machines could come in."""
    if told := open_doors(settings, sources):
        raise ConfigError(told)
