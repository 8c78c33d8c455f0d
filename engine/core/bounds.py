"""How much is kept of what others send: a text that is cut says so, and a value is whole or none.

Each limit is a constant where it is used; docs/reliability.md has all of them in one table.
"""

from collections.abc import Mapping

from engine.core.json_value import Json, canonical_bytes


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and how long it was: at most `limit` characters (some 30 up)."""
    if len(text) <= limit:
        return text
    mark = f" … (cut; {len(text):,} characters)"
    return text[: limit - len(mark)] + mark


def cut_texts(texts: Mapping[str, str], limit: int, room: int) -> dict[str, str]:
    """Each text within `limit`, and all of them, with their names, within `room` characters.

    Where there is no room left for a text, its name stays and says how long it was.
    """
    kept = {}
    for name, text in texts.items():
        room -= len(name)
        kept[name] = cut(text, min(limit, max(room, 40)))
        room -= len(kept[name])
    return kept


def size_of(value: Json) -> int:
    """Bytes of a value as the journal keeps it."""
    return len(canonical_bytes(value))
