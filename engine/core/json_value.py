"""JSON as a type, in one canonical spelling, so that equal values have equal bytes and hashes."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]


_spell = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def canonical_bytes(value: Json) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces and no NaN: the bytes that are stored and hashed."""
    return _spell(value).encode()
