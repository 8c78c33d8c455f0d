"""JSON from outside, decoded so that every body has one meaning and a bounded cost.

The gateway decodes bodies by it, and sources the JSON that is a text inside of one.

Python's own decoder with a hook per object, because orjson accepts duplicate keys, and holds the
interpreter's lock for a whole body while the hook lets the event loop's thread in. But most bodies
are small and written as orjson would write them, and what it writes has no key twice: a body
that comes back byte for byte was sound, at less than half the cost.
"""

import json
from collections import Counter
from typing import NoReturn

import orjson

from engine.core.json_value import Json
from engine.errors import PayloadError

MAX_DEPTH = 64
# Enough for a full body of the largest source (32 MiB hold some 800,000 values), few enough that
# a body of empty lists can't become a gigabyte of objects.
MAX_VALUES = 2_000_000
# A 64-bit integer with its sign. Longer ones cost quadratic time and fit no store.
MAX_NUMBER_CHARACTERS = 20
# A double with its sign, point and exponent; senders that print more digits mean the same value.
MAX_FRACTION_CHARACTERS = 64
# A larger one would hold the interpreter's lock for more than some milliseconds.
PLAIN_BYTES = 512 * 1024

_NESTING = (dict, list)


def decode(body: bytes) -> Json:
    """The value that `body` holds.

    Raises PayloadError for what isn't UTF-8 JSON, and for NaN, infinities, duplicate keys,
    nesting over 64, integers beyond 64 bits and more than 2 million values.
    """
    if (plain := _plain(body)) is not None:
        _limit_depth(plain)
        return plain
    if (
        len(body) > MAX_VALUES
        and body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES
    ):
        raise PayloadError(f"more than {MAX_VALUES} JSON values; send them in several bodies")
    try:
        value: Json = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise PayloadError(
            f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos}"
        ) from error
    except RecursionError as error:
        raise PayloadError(f"nested deeper than {MAX_DEPTH} levels") from error
    _limit_depth(value)
    return value


def _plain(body: bytes) -> dict[str, Json] | list[Json] | None:
    """What a body holds that is small and written in orjson's way or Go's; None for any other."""
    if len(body) > PLAIN_BYTES:
        return None
    try:
        value: Json = orjson.loads(body)
        written = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    # Go ends a body with a line break.
    if written != body and written != _as_orjson(body.strip(b" \t\r\n")):
        return None
    return value if isinstance(value, dict | list) else None


def _as_orjson(body: bytes) -> bytes:
    """The body without the escapes that only Go writes, of `<`, `>` and `&`.

    A backslash of the text itself could stand before one, so such a body stays as it is.
    """
    if b"\\\\" in body:
        return body
    for escaped, plain in ((b"\\u003c", b"<"), (b"\\u003e", b">"), (b"\\u0026", b"&")):
        body = body.replace(escaped, plain)
    return body


def _unique_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise PayloadError(f"the key {twice[:80]!r} is there twice in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits) <= MAX_NUMBER_CHARACTERS and -(2**63) <= (value := int(digits)) < 2**64:
        return value
    raise PayloadError(f"the integer {digits[:24]}… doesn't fit 64 bits")


def _number(text: str) -> float:
    value = float(text) if len(text) <= MAX_FRACTION_CHARACTERS else float("inf")
    if value in (float("inf"), float("-inf")):
        raise PayloadError(f"the number {text[:24]}… is out of range")
    return value


def _no_constant(name: str) -> NoReturn:
    raise PayloadError(f"{name} is not JSON")


def _limit_depth(value: Json) -> None:
    # By levels instead of by recursion: a body may not decide how deep our stack gets.
    level = [value] if isinstance(value, _NESTING) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _NESTING)
        ]
        if not level:
            return
    raise PayloadError(f"nested deeper than {MAX_DEPTH} levels")
