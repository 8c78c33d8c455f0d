"""Where a verb's orders and questions go: a server, the running engine of a folder, or the folder.

QUELL_SERVER names a server. Else DIR/server.json names the engine that runs on DIR. When none
runs, reading verbs open the store of DIR for reading only, and a decision takes the lock of DIR.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from engine.cli.output import complain
from engine.cli.server_file import running_engine
from engine.client.http import QuellClient
from engine.client.settings import client_settings
from engine.client.trust import only, signed_by
from engine.errors import ConfigError

if TYPE_CHECKING:
    from typing import TypeAlias

    from engine.cli.local_site import LocalSite

    Site: TypeAlias = QuellClient | LocalSite


def tell_if_stopped(site: "Site", data: Path) -> None:
    """On standard error, that no engine runs here: what is shown as under way stands still."""
    if not isinstance(site, QuellClient):
        complain(f"no engine runs on {str(data)!r}: this is how it was left")


@contextmanager
def reach(data: Path) -> Iterator["Site"]:
    """Whoever can answer. Raises ConfigError when there is nobody."""
    settings = client_settings()
    if settings.server:
        if not settings.server.startswith(("http://", "https://")):
            raise ConfigError(
                f"QUELL_SERVER is {settings.server!r}: write it like http://127.0.0.1:8484"
            )
        token = SecretStr(settings.token) if settings.token else None
        trust = signed_by(Path(settings.ca)) if settings.ca else None
        with QuellClient(settings.server, token, trust) as client:
            yield client
        return
    running = running_engine(data)
    if running is not None:
        trust = None if running.certificate is None else only(running.certificate)
        with QuellClient(running.url, running.token, trust) as client:
            yield client
        return
    if not data.is_dir():
        raise ConfigError(
            f"no engine to talk to: there is no folder {str(data)!r}; name it with --data, "
            "or a server with QUELL_SERVER, or start one with `quell up`"
        )
    from engine.cli.local_site import LocalSite

    yield LocalSite(data)
