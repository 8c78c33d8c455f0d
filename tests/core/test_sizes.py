"""Sizes are read strictly and spelled back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("512KiB", 524_288), ("256MiB", 2**28), ("2GiB", 2**31), ("1TiB", 2**40)],
)
def test_a_size_is_a_number_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert format_size(size) == text


@pytest.mark.parametrize(
    "text",
    ["", "5", "MiB", "-1MiB", "1.5GiB", "2 GiB", "2GB", "2gib", "1iB", "\u0665B", "9" * 99 + "B"],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a size; write it like '256MiB'"):
        parse_size(text)


@given(st.integers(0, 10**15 - 1))
def test_every_size_is_spelled_exactly(size: int) -> None:
    assert parse_size(format_size(size)) == size
