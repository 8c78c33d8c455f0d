"""Ids are derived from what they name, never drawn: doing a thing twice gives the same id."""

import hashlib
from collections.abc import Sequence

ID_LENGTH = 26

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
# Three characters for each 15 bits: an alert has four ids, and the library takes five times as
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
    digest = hashlib.sha256(_framed(key)).digest()
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
