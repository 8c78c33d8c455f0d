"""DIR/server.json: how verbs find the engine that runs on DIR, and tell it from one that died.

The engine keeps the file locked while it runs. One that was killed leaves a file that nobody has
locked: its address may belong to somebody else by now, so nobody is asked there.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from engine.errors import ConfigError, TransientError
from engine.ports.known_secrets import KNOWN

SERVER_FILE = "server.json"


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that runs: where it listens, the token that it takes, and over TLS by what file.

    `certificate` is the absolute path of its certificate, None without TLS.
    """

    url: str
    token: SecretStr
    certificate: Path | None = None


@contextmanager
def announced(data: Path, engine: Running) -> Iterator[Path]:
    """While this is open the file is there, locked, and readable by its owner alone.

    Raises TransientError where it can't be written.
    """
    path = data / SERVER_FILE
    draft = data / f".{SERVER_FILE}.{os.getpid()}"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        opened = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    content = {"url": engine.url, "token": engine.token.get_secret_value()}
    if engine.certificate is not None:
        content["certificate"] = str(engine.certificate)
    text = json.dumps(content)
    # Unbuffered: closing would write again what a full disk did not take.
    with os.fdopen(opened, "wb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if file.write(text.encode()) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _unwritable(path, error) from None
        try:
            yield path
        finally:
            # Engines that share a PostgreSQL may share a folder: only the last one's is there.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                path.unlink()


def _unwritable(path: Path, error: OSError) -> TransientError:
    return TransientError(
        f"{str(path)!r}, by which the verbs find the engine, can't be written: {error.strerror}"
    )


def running_engine(data: Path) -> Running | None:
    """The engine that runs on this folder; None when none does. Raises ConfigError."""
    path = data / SERVER_FILE
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = json.load(file)
                KNOWN.keep("access.token", found["token"])
                certificate = Path(found["certificate"]) if "certificate" in found else None
                return Running(found["url"], SecretStr(found["token"]), certificate)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(
            f"{str(path)!r} can't be read ({error.strerror}): ask as the user that quell runs as, "
            "or name a server with QUELL_SERVER and QUELL_TOKEN"
        ) from None
    return None
