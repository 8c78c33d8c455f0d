"""A mistake in a file, said so that it can be mended: where, what, and the nearest valid thing."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake; `line` and `column` count from 1, 0 when the place isn't known."""

    file: str
    line: int
    column: int
    message: str

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def nearest(word: str, valid: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the closest valid word, or the empty string."""
    found = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.6)
    return f", did you mean {found[0]!r}?" if found else ""
