"""Ids are derived from what they name, never drawn: doing a thing twice gives the same id."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter

ID_LENGTH = 26

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
# Three characters for each 15 bits: an alert has three ids, and the library takes five times as
# long, a byte at a time.
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
_TRIPLES = [first + pair for first in _BASE32 for pair in _PAIRS]
_ID_BITS = 5 * ID_LENGTH
_TAKEN_BYTES = -(-_ID_BITS // 8)
_LEFT_OUT_BITS = 8 * _TAKEN_BYTES - _ID_BITS
_ASCII_LENGTHS = [length.to_bytes(4, "big").decode() for length in range(128)]


def derived_id(*key: str) -> str:
    """Base32 (lower case) of the SHA-256 over the length-prefixed parts of `key`: 26 characters.

    The length prefix keeps ("ab", "c") and ("a", "bc") apart.
    """
    return _spelled(_framed(key))


def derived_id_of(kind: str, owner: str, members: Mapping[str, str]) -> str:
    """`derived_id` over `kind`, `owner`, and each member's name and value in the names' order.

    In less time where the same names come again and again, as those of labels do.
    """
    if members and (frame := _frame(kind, owner, tuple(members))) is not None:
        template, values_of = frame
        values = values_of(members)
        filled: list[object] = [*values, *values]
        filled[::2], filled[1::2] = map(len, values), values
        try:
            text = template % tuple(filled)
        except OverflowError:
            text = "\x80"
        if text.isascii():  # a length above 127 isn't, and takes more than its one byte
            return _spelled(text.encode())
    parts = [part for name in sorted(members) for part in (name, members[name])]
    return derived_id(kind, owner, *parts)


@lru_cache(maxsize=256)
def _frame(
    kind: str, owner: str, names: tuple[str, ...]
) -> tuple[str, Callable[[Mapping[str, str]], Sequence[str]]] | None:
    """A template of each value's length and the value; these in order. None if it isn't ASCII."""
    first, *others = ordered = sorted(names)
    framed = [_framed((kind, owner, first)), *[_framed((name,)) for name in others]]
    if not all(map(bytes.isascii, framed)):
        return None
    fronts = [each.decode().replace("%", "%%") for each in framed]
    template = "".join([front + "\0\0\0%c%s" for front in fronts])
    # Of one name alone it would give the value itself.
    return template, itemgetter(*ordered) if others else lambda members: (members[first],)


def _spelled(framed: bytes) -> str:
    digest = hashlib.sha256(framed).digest()
    bits, of = int.from_bytes(digest[:_TAKEN_BYTES], "big") >> _LEFT_OUT_BITS, _TRIPLES
    return (
        f"{of[bits >> 115]}{of[bits >> 100 & 32767]}{of[bits >> 85 & 32767]}"
        f"{of[bits >> 70 & 32767]}{of[bits >> 55 & 32767]}{of[bits >> 40 & 32767]}"
        f"{of[bits >> 25 & 32767]}{of[bits >> 10 & 32767]}{_PAIRS[bits & 1023]}"
    )


def _framed(key: Sequence[str]) -> bytes:
    """Each part behind its length in bytes, as four bytes."""
    try:
        text = "".join([_ASCII_LENGTHS[len(part)] + part for part in key])
    except IndexError:
        text = "\x80"
    if text.isascii():  # as most are: characters are bytes
        return text.encode()
    raws = [part.encode() for part in key]
    return b"".join([len(raw).to_bytes(4, "big") + raw for raw in raws])


def dead_letter_id(body: bytes) -> str:
    """Derived from the content alone: the same body is kept once, however often it comes."""
    return derived_id("dead-letter", sha256_hex(body))


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256, 64 characters."""
    return hashlib.sha256(data).hexdigest()
