from collections.abc import Sequence

import pytest

from engine.core.matcher_index import Key, keys_of
from engine.core.matchers import Matcher, Operator


@pytest.mark.parametrize(
    ("op", "value", "keys"),
    [
        ("=", "a", [("a", False)]),
        ("=", "", []),
        ("!=", "a", []),
        ("!~", "a.*", []),
        ("=~", "a|b", [("a", False), ("b", False)]),
        ("=~", "llm-.+", [("llm-", True)]),
        ("=~", "llm-[0-9]+", [("llm-", True)]),
        ("=~", "ab?", [("a", True)]),
        ("=~", "ab+", [("ab", True)]),
        ("=~", "a?", []),
        ("=~", "(a|b)c", []),
        ("=~", "x(a)", [("x", True)]),
        ("=~", "a|", []),
        ("=~", "(?i)a", []),
        ("=~", "gpu\\.x", [("gpu", True)]),
    ],
)
def test_what_a_matcher_says_of_a_label(
    op: Operator, value: str, keys: Sequence[tuple[str, bool]]
) -> None:
    found = keys_of(Matcher("x", op, value))
    assert found == tuple(Key("x", text, is_prefix) for text, is_prefix in keys)
