"""Ids are functions of what they name."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.ids import ID_LENGTH, dead_letter_id, derived_id, derived_id_of, sha256_hex

parts = st.lists(st.text(max_size=8), max_size=4)


@given(parts, parts)
def test_equal_keys_have_equal_ids_and_no_others(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


def test_an_id_is_short_lower_case_base32() -> None:
    found = derived_id("incident", "key")
    assert len(found) == ID_LENGTH
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_a_digest_is_hex_sha256() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_dead_letter_is_its_content() -> None:
    assert dead_letter_id(b"{") == dead_letter_id(b"{")
    assert dead_letter_id(b"{") != dead_letter_id(b"[")


@given(parts)
def test_an_id_is_the_base32_of_the_hash_over_the_framed_parts(key: list[str]) -> None:
    raws = [part.encode() for part in key]
    framed = b"".join(len(raw).to_bytes(4, "big") + raw for raw in raws)
    spelled = base64.b32encode(hashlib.sha256(framed).digest()).decode().lower()
    assert derived_id(*key) == spelled[:ID_LENGTH]


@pytest.mark.parametrize("length", [0, 127, 128, 300, 70_000])
def test_a_long_part_is_framed_as_a_short_one(length: int) -> None:
    framed = length.to_bytes(4, "big") + b"x" * length
    spelled = base64.b32encode(hashlib.sha256(framed).digest()).decode().lower()
    assert derived_id("x" * length) == spelled[:ID_LENGTH]


@given(st.text(max_size=8), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_an_id_of_members_is_that_of_their_names_and_values_in_order(
    owner: str, members: dict[str, str]
) -> None:
    parts = [part for name in sorted(members) for part in (name, members[name])]
    assert derived_id_of("kind", owner, members) == derived_id("kind", owner, *parts)


@pytest.mark.parametrize("length", [0, 127, 128, 300])
@pytest.mark.parametrize("long", ["name", "value"])
def test_a_long_member_is_framed_as_a_short_one(long: str, length: int) -> None:
    name, value = ("x" * length, "v") if long == "name" else ("n", "x" * length)
    parts = [part for pair in sorted([("a", "b"), (name, value)]) for part in pair]
    assert derived_id_of("kind", "owner", {name: value, "a": "b"}) == derived_id(
        "kind", "owner", *parts
    )
