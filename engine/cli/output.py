"""What verbs print: tables for people, JSON for programs, mistakes on standard error.

Texts from outside are shown as they are: they can't become markup, colours or a terminal's orders.
"""

import json
import shutil
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import typer
from pydantic import BaseModel
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

# rich leaves colours out where there is no terminal.
OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)

SEVERITY_STYLES = {"P1": "bold red", "P2": "red", "P3": "yellow", "P4": "dim"}
STATUS_STYLES = {"open": "bold", "resolved": "green", "closed": "dim"}
PHASE_STYLES = {"needs person": "bold red", "awaiting approval": "bold yellow", "idle": "dim"}

GAP = "  "
# Into a pipe or a file nothing is cut: a program, or a person's grep, wants the whole line.
UNLIMITED = 10_000


@dataclass(frozen=True, slots=True)
class Column:
    """One column; it has the width of its texts unless `narrowest` lets it be cut down to that.

    An `optional` one is left out where the others would be cut too far.
    """

    heading: str
    narrowest: int = 0
    optional: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)
    right: bool = False


def print_json(value: BaseModel | Sequence[BaseModel] | object) -> None:
    """One JSON document on standard output."""
    if isinstance(value, BaseModel):
        text = value.model_dump_json(indent=2)
    else:
        text = json.dumps(value, indent=2, default=_plain)
    typer.echo(text)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value)} has no JSON form")


def terminal_width() -> int:
    """Cells a line may have; UNLIMITED where nobody looks."""
    return shutil.get_terminal_size((UNLIMITED, 0)).columns


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A line for each row, as wide as the terminal at most; texts that don't fit end in `…`."""
    texts = [[visible(cell, one_line=True) for cell in row] for row in rows]
    natural = [
        max([cell_len(column.heading), *(cell_len(row[index]) for row in texts)])
        for index, column in enumerate(columns)
    ]
    widths = _fitted(columns, natural, terminal_width())
    _print_row([(columns[i].heading, w, columns[i].right, "bold") for i, w in widths.items()])
    for row in texts:
        styled = [(i, w, columns[i]) for i, w in widths.items()]
        _print_row([(row[i], w, c.right, c.styles.get(row[i], "")) for i, w, c in styled])


def _print_row(cells: Sequence[tuple[str, int, bool, str]]) -> None:
    line = Text()
    for text, width, is_right, style in cells:
        if cell_len(text) > width:
            text = set_cell_size(text, width - 1).rstrip() + "…"
        padding = " " * (width - cell_len(text))
        line.append(padding if is_right else "").append(text, style)
        line.append("" if is_right else padding).append(GAP)
    line.rstrip()
    OUT.print(line, soft_wrap=True)


def print_indented(heads: Sequence[str], text: str, *, style: str = "") -> None:
    """A paragraph that stands beside its heads, wrapped where a terminal ends."""
    head = "".join(each + GAP for each in heads)
    room = max(terminal_width() - cell_len(head), 20)
    for line in Text(visible(text), style=style).wrap(OUT, room):
        line.rstrip()
        OUT.print(Text(head).append_text(line), soft_wrap=True)
        head = " " * cell_len(head)


def _fitted(columns: Sequence[Column], natural: Sequence[int], width: int) -> dict[int, int]:
    """The width of each column that is shown, by its place."""
    shown = dict(enumerate(natural))
    while True:
        over = sum(shown.values()) + len(GAP) * (len(shown) - 1) - width
        elastic = {i: w - columns[i].narrowest for i, w in shown.items() if columns[i].narrowest}
        if over <= 0:
            return shown
        optional = [i for i in shown if columns[i].optional]
        if over > sum(spare for spare in elastic.values() if spare > 0) and optional:
            del shown[optional[-1]]
            continue
        return _cut(columns, shown, over)


def _cut(columns: Sequence[Column], shown: dict[int, int], over: int) -> dict[int, int]:
    """The columns with the most to spare become narrower, one cell after the other."""
    for _ in range(over):
        elastic = [i for i, w in shown.items() if 0 < columns[i].narrowest < w]
        if not elastic:
            break
        shown[max(elastic, key=lambda i: shown[i] - columns[i].narrowest)] -= 1
    return shown


def say(text: str, *, style: str | None = None) -> None:
    """Lines for people."""
    OUT.print(Text(visible(text)), style=style, soft_wrap=True)


def complain(text: str) -> None:
    """Lines on standard error."""
    ERR.print(Text(visible(text)), style="red", soft_wrap=True)


def visible(text: str, *, one_line: bool = False) -> str:
    r"""The text with what a terminal would obey, or not show, spelled out: `\x1b`."""
    if one_line:
        text = " ".join(text.split())
    if text.isprintable():
        return text
    return "".join(each if _is_shown(each) else _spelled(each) for each in text)


def _is_shown(character: str) -> bool:
    # Cc and Cf hold escapes and marks that turn the direction of text; Cs can't be encoded.
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def current_time() -> datetime:
    """The machine's time, UTC: for people, who look at it beside what an engine says."""
    return datetime.now(UTC)  # noqa: TID251 - a verb has no engine, and the engine's Clock is its


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, roughly: `12s`, `5m`, `3h`, `2d`; "" for never."""
    if at is None:
        return ""
    seconds = int((now - at.astimezone(UTC)).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
