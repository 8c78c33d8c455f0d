"""A mistake in a file, said so that it can be mended: where, what, and the nearest valid thing."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake; `line` and `column` count from 1, 0 when the place isn't known.

    `reference` leads to the page that says what may stand there, "" where there is none.
    """

    file: str
    line: int
    column: int
    message: str
    reference: str = field(default="", compare=False)

    @override
    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.message}"

    @property
    def told(self) -> str:
        """The mistake with where to read on, for who writes the file."""
        return f"{self} [{self.reference}]" if self.reference else str(self)


def closest(word: str, valid: Iterable[str], likeness: float = 0.6) -> str:
    """The valid word that was meant, or the empty string where none is near.

    `likeness` is the least: 1 for the same word, 0.6 for one that has little else near.
    """
    found = difflib.get_close_matches(word, list(valid), n=1, cutoff=likeness)
    return found[0] if found else ""


def nearest(word: str, valid: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the closest valid word, or the empty string."""
    found = closest(word, valid)
    return f", did you mean {found!r}?" if found else ""
