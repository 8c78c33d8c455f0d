"""Ids are derived from what they name, never drawn: doing a thing twice gives the same id."""

import base64
import hashlib

ID_LENGTH = 26


def derived_id(*key: str) -> str:
    """Base32 (lower case) of the SHA-256 over the length-prefixed parts of `key`: 26 characters.

    The length prefix keeps ("ab", "c") and ("a", "bc") apart.
    """
    digest = hashlib.sha256()
    for part in key:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return base64.b32encode(digest.digest()).decode().lower()[:ID_LENGTH]


def dead_letter_id(body: bytes) -> str:
    """Derived from the content alone: the same body is kept once, however often it comes."""
    return derived_id("dead-letter", sha256_hex(body))


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256, 64 characters."""
    return hashlib.sha256(data).hexdigest()
