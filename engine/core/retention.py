"""How long and how much is kept of what no incident needs any more; the journal is for ever."""

from datetime import timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from engine.core.durations import parse_duration
from engine.core.sizes import format_size, parse_size

SMALLEST = 1024 * 1024
NEARLY_FULL = 0.9


def _span(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration must be here, like '7d' or '12h'")


def _bytes(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _not_tiny(size: int) -> int:
    if size < SMALLEST:
        raise ValueError(
            f"{format_size(size)!r} is too small; {format_size(SMALLEST)} is the least"
        )
    return size


Span = Annotated[timedelta, BeforeValidator(_span)]
Size = Annotated[
    int,
    BeforeValidator(_bytes),
    AfterValidator(_not_tiny),
    WithJsonSchema({"type": ["string", "integer"]}),
]


class Retention(BaseModel):
    """The section `retention` of quell.yaml.

    `stream` counts from a record's append, `dead_letters` from when one was last seen,
    `replayed_dead_letters` from its replay, `occurrences` from the end of one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stream: Span = timedelta(days=7)
    stream_size: Size = 2 * 1024**3
    dead_letters: Span = timedelta(days=30)
    replayed_dead_letters: Span = timedelta(days=7)
    dead_letters_count: Annotated[int, Field(ge=1)] = 100_000
    dead_letters_size: Size = 256 * 1024**2
    occurrences: Span = timedelta(days=30)

    def full(self, letters: int, size: int) -> str:
        """What to say where so many dead letters of so many bytes are too many; "" otherwise."""
        if letters <= self.dead_letters_count and size <= self.dead_letters_size:
            return ""
        return f"dead letters are full: {self._what_to_do()}"

    def nearly_full(self, letters: int, size: int) -> str:
        """What to say before that, from NEARLY_FULL on; "" otherwise."""
        share = max(letters / self.dead_letters_count, size / self.dead_letters_size)
        if share < NEARLY_FULL:
            return ""
        return (
            f"dead letters are {share:.0%} full; at 100% senders are told 503 for what can't be "
            f"understood: {self._what_to_do()}"
        )

    def _what_to_do(self) -> str:
        return (
            f"{self.dead_letters_count:,} of them and {format_size(self.dead_letters_size)} may be "
            "kept. See `quell dead-letters list` and mend what sends them; replay them or raise "
            "retention.dead_letters_count or _size"
        )


USUAL = Retention()
