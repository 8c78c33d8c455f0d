"""Patterns in sudoers' words let through what the argument allows, and nothing else."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from engine.core.documents import Argument
from engine.core.parameters import ParameterError, check_value
from engine.core.sudo_patterns import UnsayableError, literal, of_argument, translated

ARGUMENTS = {
    "unit": Argument(pattern="^[a-z0-9@_][a-z0-9@._-]*$"),
    "moment": Argument(pattern="^@[0-9]{1,12}$"),
    "either": Argument(pattern=r"(?:a|b\.c)\d+"),
    "hash": Argument(pattern="[a#]+"),
    "brackets": Argument(pattern=r"[-a\[\]:.]+"),
    "url": Argument(format="url"),
    "path": Argument(format="path"),
    "segment": Argument(format="path_segment"),
    "host": Argument(format="address"),
    "mode": Argument(type="enum", values=("on", "a.b", "+x")),
    "lines": Argument(type="integer", minimum=1),
    "shift": Argument(type="integer"),
}
# Texts that lie close to what some argument allows.
TEXT = st.text("ab01@._-/+#:[], \\=\n", max_size=8) | st.sampled_from(
    [
        "vllm",
        "@12",
        "@1234567890123",
        "a1",
        "b.c7",
        "a#a",
        "/a/../b",
        "/..",
        "/...",
        "on",
        "a.b",
        "7",
        "http://a:1",
        "https://[a::1]/b",
    ]
)


def lets_through(pattern: str, value: str) -> bool:
    """RE2 reads these expressions as POSIX does."""
    return re2.fullmatch(pattern, value) is not None


@pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=ARGUMENTS.keys())
@given(value=TEXT)
def test_a_value_passes_exactly_where_the_argument_allows_it(
    argument: Argument, value: str
) -> None:
    try:
        check_value(argument, value)
        allowed = True
    except ParameterError:
        allowed = False
    passes = lets_through(of_argument(argument), value)
    if argument.type == "integer":  # its range is left to check_value
        assert passes or not allowed
    else:
        assert passes is allowed


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"[-a\[\]]", "[]a[-]"),
        (r"[\]#]", "([]]|\\#)"),
        (r"[^\[\]]", "[^][[:space:]]"),
        ("[#]", "\\#"),
    ],
)
def test_brackets_stand_where_a_posix_class_takes_them(pattern: str, expected: str) -> None:
    assert translated(pattern) == expected


@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_literal_is_this_very_text(value: str) -> None:
    if set(value) & {"\\", '"'}:
        with pytest.raises(UnsayableError):
            literal(value)
    else:
        assert lets_through(literal(value), value)
        assert not lets_through(literal(value), value + "x")


@pytest.mark.parametrize(
    "pattern",
    [r"\bx", "(?i)x", "a*?", "a b", r"\pL", "[[:alpha:]]", "x^y", "[^#]", "[[-a]", r"[a-\]]"],
)
def test_what_sudoers_has_no_word_for_is_told(pattern: str) -> None:
    with pytest.raises(UnsayableError):
        translated(pattern)


@pytest.mark.parametrize("pattern", [".*", "[^x]*", r"\w+"])
def test_nothing_stands_for_a_blank(pattern: str) -> None:
    assert lets_through(translated(pattern), "ab")
    assert not lets_through(translated(pattern), "a b")
