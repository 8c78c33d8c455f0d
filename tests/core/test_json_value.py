"""One spelling for equal values."""

import math

import pytest

from engine.core.json_value import canonical_bytes


def test_order_of_keys_and_spaces_do_not_matter() -> None:
    assert canonical_bytes({"b": [1, None], "a": "ü"}) == '{"a":"ü","b":[1,null]}'.encode()


def test_what_json_has_no_number_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_bytes(math.nan)
