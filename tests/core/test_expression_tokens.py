"""The words of an expression are told apart as CEL does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.expression_tokens import (
    chain_base,
    chain_from,
    chain_start,
    read_tokens,
    text_at,
)
from engine.core.expression_types import ExpressionError

WORDS = {
    "names and marks": ("a.b==c", ["a", ".", "b", "==", "c"]),
    "blanks and comments go": ("a // x\n + b", ["a", "+", "b"]),
    "both quotes": ("'a' + \"b\"", ["'a'", "+", '"b"']),
    "three quotes": ("'''a\n'b'''", ["'''a\n'b'''"]),
    "escaped quote": (r"'a\'b' + c", [r"'a\'b'", "+", "c"]),
    "raw text": (r"r'\' + 'b'", [r"r'\'", "+", "'b'"]),
    "numbers": ("1 0x1F 1.5e-3 2u", ["1", "0x1F", "1.5e-3", "2u"]),
    "name in backquotes": ("a.`b-c`", ["a", ".", "`b-c`"]),
}


@pytest.mark.parametrize(("text", "words"), WORDS.values(), ids=WORDS)
def test_reads_the_words(text: str, words: list[str]) -> None:
    tokens = read_tokens(text)
    assert [token.text for token in tokens] == words
    assert all(text[token.start : token.end] == token.text for token in tokens)


STRAY = {
    "open text": ("a == 'b", 6, "the text that begins here isn't closed; add '"),
    "open three quotes": ("'''a'", 1, "the text that begins here isn't closed; add '''"),
    "line break in a text": ("'a\nb'", 1, "the text that begins here isn't closed; add '"),
    "open backquote": ("a.`b", 3, "the name after ` isn't closed; add the closing `"),
    "single equals": ("a = b", 3, "a single '=' compares nothing; write '=='"),
    "single and": ("a & b", 3, "a single '&' means nothing here; write '&&'"),
    "matcher's tilde": ("a ~ 'b'", 3, "'~' belongs to matchers; in an expression write "),
    "template": ("${{ a }}", 1, "this is already an expression; write it without '${{' and '}}'"),
    "hash": ("a # b", 3, "'#' begins no comment in an expression; use '//'"),
    "curly quotes": ("a == “b”", 6, "'“' isn't a quote of expressions; write \" or '"),
    "other": ("a;b", 2, "unexpected character ';'"),
}


@pytest.mark.parametrize(("text", "column", "message"), STRAY.values(), ids=STRAY)
def test_what_no_expression_has_is_refused(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        read_tokens(text)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


def test_a_template_ends_at_its_braces_and_not_at_those_of_a_map_or_text() -> None:
    text = '{"a": {"b": "}}"}} }} rest'
    assert read_tokens(text, in_template=True)[-1].end == text.index(" }} rest")


def test_chains_are_followed_both_ways() -> None:
    tokens = read_tokens("x + alert.labels.tier.size()")
    tier = next(index for index, token in enumerate(tokens) if token.text == "tier")
    assert text_at(tokens, chain_start(tokens, tier)) == "alert"
    assert chain_from(tokens, 2) == ["alert", "labels", "tier"]


def test_the_base_is_found_through_calls_and_indexes() -> None:
    tokens = read_tokens("x + alerts.filter(a, a.n == '(')[0].labels.q")
    last = len(tokens) - 1
    assert text_at(tokens, chain_base(tokens, last)) == "alerts"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tokens = read_tokens(text)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text)
    else:
        for index in range(len(tokens)):
            assert 0 <= chain_base(tokens, index) <= index
