"""Every secret that this process was told, and the one way to take them out of what leaves it.

There is one of these for the process, `KNOWN`, because what a process prints, answers and keeps is
its own whoever wrote it: a secret is made known where it enters, and then no part has to know of
the others'. Settings and connectors' configurations are declared as a whole when they are read, so
that a connector's author needs no more than the type `SecretStr`, and `HOLDS_SECRET` for a file.
"""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import re2
from pydantic import BaseModel, SecretBytes, SecretStr

from engine.core.masking import Masker

# Of a secret that is renewed while quell runs; older ones have expired.
MAX_VALUES = 16
# A key is a few kilobytes; more isn't read.
MAX_FILE_BYTES = 64 * 1024

_SECRET_PARAMETER = re2.compile("(?i)pass|secret|token|api_?key|^sig$")
_ARMOR = "-----BEGIN "
_PRIVATE_KEY = re2.compile(
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?-----END [A-Z0-9 ]*PRIVATE KEY-----"
)


class HoldsSecret:
    """Marks a path in a configuration: what is in that file is a secret."""


HOLDS_SECRET = HoldsSecret()


class KnownSecrets:
    """Secrets by name; any thread may use it. A name is a setting's place and may be shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, list[str | bytes]] = {}
        self._masker: Masker | None = None

    def keep(self, name: str, value: str | bytes) -> None:
        """Make a secret known; of a URL with a password, that is the password."""
        with self._lock:
            values = self._values.setdefault(name, [])
            for each in _parts(value):
                if each not in values:
                    values.append(each)
                    del values[:-MAX_VALUES]
                    self._masker = None

    def keep_file(self, name: str, path: Path) -> None:
        """Make known what a file holds, of PEM its private keys; who uses it tells its faults."""
        try:
            with path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES).decode(errors="replace")
        except OSError:
            return
        for each in _PRIVATE_KEY.findall(text) or ([] if _ARMOR in text else [text]):
            self.keep(name, each)

    def release(self, name: str) -> None:
        """What was kept by this name has turned out to be no secret."""
        with self._lock:
            if self._values.pop(name, None):
                self._masker = None

    def declare(self, config: BaseModel, place: str, folder: Path) -> None:
        """Make known all secrets of a configuration; its other values are released.

        Its relative paths count from `folder`. Fields without a repr are somebody else's to
        declare.
        """
        for name, field in type(config).model_fields.items():
            if field.repr:
                holds = any(isinstance(each, HoldsSecret) for each in field.metadata)
                self._declare(getattr(config, name), _below(place, name), folder, holds=holds)

    def _declare(self, value: object, place: str, folder: Path, *, holds: bool) -> None:
        match value:
            case SecretStr() | SecretBytes():
                self.keep(place, value.get_secret_value())
            case Path() if holds:
                self.release(place)
                self.keep_file(place, folder / value)
            case BaseModel():
                self.declare(value, place, folder)
            case Mapping():
                for name, each in value.items():
                    self._declare(each, _below(place, str(name)), folder, holds=holds)
            case tuple() | list():
                for index, each in enumerate(value):
                    self._declare(each, _below(place, str(index)), folder, holds=holds)
            case _:
                self.release(place)

    def forget(self) -> None:
        """Begin anew, as a new process does."""
        with self._lock:
            self._values.clear()
            self._masker = None

    @property
    def masker(self) -> Masker:
        """What masks all that is known now."""
        masker = self._masker
        if masker is None:
            with self._lock:
                # One key under many names is one secret: each would make the pattern longer.
                known: dict[str | bytes, str] = {}
                for name, values in self._values.items():
                    for each in values:
                        known.setdefault(each, name)
                masker = self._masker = Masker((name, each) for each, name in known.items())
        return masker

    def mask(self, text: str) -> str:
        """The text without any secret; see `Masker.mask`."""
        return self.masker.mask(text)


KNOWN = KnownSecrets()


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _parts(value: str | bytes) -> Iterator[str | bytes]:
    """The secret parts of a URL that has such, else the whole."""
    if isinstance(value, str) and "://" in value and (found := list(_secrets_of_url(value))):
        yield from found
    elif value:
        yield value


def _secrets_of_url(text: str) -> Iterator[str]:
    """As they are meant: the masker knows how a URL writes them."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return
    if parts.password:
        yield unquote(parts.password)
    for name, value in parse_qsl(parts.query):
        if _SECRET_PARAMETER.search(name):
            yield value
