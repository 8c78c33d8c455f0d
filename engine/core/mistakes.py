"""Mistakes of a document before its text's marks are known: a path into it, and what is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.core.findings import nearest

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake at `path`; `column` counts characters of that scalar from 1, 0 for all of it.

    `unknown` is the kind of thing (`target`, `command`) whose name isn't there, "" for all else.
    """

    path: Path
    message: str
    column: int = 0
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Collects mistakes below one path, so that a reader gets all of them at once."""

    path: Path = ()
    found: list[Mistake] = field(default_factory=list)

    def at(self, *path: str | int) -> "Mistakes":
        """The same collection, one part of the document deeper."""
        return Mistakes((*self.path, *path), self.found)

    def add(self, message: str, column: int = 0) -> None:
        """Record a mistake at this path."""
        self.found.append(Mistake(self.path, message, column))

    def unknown(self, what: str, word: str, valid: Iterable[str]) -> None:
        """Record a name that isn't there, with the nearest that is, or all when they are few."""
        known = sorted(valid)
        hint = nearest(word, known)
        if not hint:
            hint = f"; there is {', '.join(known)}" if 0 < len(known) <= 8 else ""
        kind = what.partition(" ")[0]
        self.found.append(Mistake(self.path, f"unknown {what} {word!r}{hint}", unknown=kind))
