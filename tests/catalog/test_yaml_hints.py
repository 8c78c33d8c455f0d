"""Lines are quoted so that YAML reads what was meant."""

import pytest

from engine.catalog.yaml_hints import (
    cut_by_comment,
    disguised,
    quoted_flow_line,
    quoted_line,
    syntax_hint,
    value_start,
)

STARTS = {
    "key": ("  when: a ? b : c", "a ? b : c"),
    "element": ("  - a ? b : c", "a ? b : c"),
    "element with a key": ("- when: a: b", "a: b"),
    "list in a list": ("- - a", "a"),
    "quoted key": ("'a b': c: d", "c: d"),
    "matcher": ('- alertname="x": y', 'alertname="x": y'),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("line", "value"), STARTS.values(), ids=STARTS)
def test_finds_where_the_value_begins(line: str, value: str) -> None:
    assert line[value_start(line) :] == value


def test_a_quote_inside_is_doubled_and_a_comment_left_out() -> None:
    assert quoted_line("  a: it's b: c  # why") == "a: 'it''s b: c'"


def test_a_hash_inside_of_a_text_is_no_comment() -> None:
    assert quoted_line('a: b == "x # y": c') == "a: 'b == \"x # y\": c'"


FLOW = {
    "nothing to do": ("a: [b, c]", "a: [b, c]"),
    "quoted stays": ("a: ['b, c', \"d\"]", "a: ['b, c', \"d\"]"),
    "expression with a comma": ("a: [${{ min(1, 2) }}]", "a: ['${{ min(1, 2) }}']"),
    "keys stay": ("{a: ${{ x }}, b: !c}", "{a: '${{ x }}', b: '!c'}"),
    "empty": ("a: []", "a: []"),
    "not closed": ("a: [${{ x }}", ""),
    "brackets that cross": ("a: [(b], c)]", ""),
    "too long": ("a: [" + "b, " * 400 + "${{ x }}]", ""),
}


@pytest.mark.parametrize(("line", "fixed"), FLOW.values(), ids=FLOW)
def test_quotes_in_flow_what_needs_it_when_that_is_clear(line: str, fixed: str) -> None:
    assert quoted_flow_line(line) == fixed


CUTS = {
    "expression": ("a: ${{ b # c }}", "${{ b", True),
    "expression that is closed": ("a: ${{ b }} # c", "${{ b }}", False),
    "second expression": ("a: ${{ b }}${{ c # d }}", "${{ b }}${{ c", True),
    "text": ('a: b == "c # d"', 'b == "c', True),
    "inches": ('a: 5" # wide', '5"', False),
    "bracket": ("a: b(c # d)", "b(c", True),
    "smiley": ("a: b :( # why", "b :(", False),
    "no comment": ("a: b", "b", False),
    "no blank": ("a: b#c", "b#c", False),
}


@pytest.mark.parametrize(("line", "value", "cut"), CUTS.values(), ids=CUTS)
def test_a_comment_that_cuts_a_value_is_seen(line: str, value: str, cut: object) -> None:
    assert bool(cut_by_comment(line, line.index(value) + len(value), value)) is cut


def test_a_problem_without_a_better_word_is_said_as_the_parser_says_it() -> None:
    assert syntax_hint("found duplicate %YAML directive", "x", 0, in_flow=False) == (
        "found duplicate %YAML directive"
    )


def test_a_disguised_line_says_where_and_not_what() -> None:
    assert disguised("  - token: @s3cret-of:mine  # old") == "  - token: @xxxxxx-xx:xxxx  # xxx"
    assert disguised("access: {token: 'ä1'}") == "access: {xxxxx: 'xx'}"
