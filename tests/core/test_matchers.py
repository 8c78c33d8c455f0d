"""Matchers mean what Alertmanager's mean, and a mistake in one says what to write."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.matchers import Matcher, MatcherError, Operator, parse_matcher

READ = {
    "equal, quoted": ('alertname="LLMEndpointDown"', Matcher("alertname", "=", "LLMEndpointDown")),
    "equal, bare": ("alertname=LLMEndpointDown", Matcher("alertname", "=", "LLMEndpointDown")),
    "not equal": ('tier!="dev"', Matcher("tier", "!=", "dev")),
    "pattern": ('service=~"llm-.+"', Matcher("service", "=~", "llm-.+")),
    "pattern, bare": ("service=~llm-.+|gw", Matcher("service", "=~", "llm-.+|gw")),
    "not pattern": ('service!~"llm-.+"', Matcher("service", "!~", "llm-.+")),
    "blanks around": (' foo  =~  "bar"  ', Matcher("foo", "=~", "bar")),
    "empty, quoted": ('foo=""', Matcher("foo", "=", "")),
    "empty, bare": ("foo=", Matcher("foo", "=", "")),
    "operators inside quotes": ('foo="a=~b, {c}"', Matcher("foo", "=", "a=~b, {c}")),
    "escaped quote": (r'foo="say \"hi\""', Matcher("foo", "=", 'say "hi"')),
    "escaped line break": (r'foo="a\nb"', Matcher("foo", "=", "a\nb")),
    "escaped backslash": (r'foo=~"\\d+"', Matcher("foo", "=~", r"\d+")),
    "spurious escape is itself": (r'foo=~"\d+"', Matcher("foo", "=~", r"\d+")),
    "UTF-8 name": ('größe="5"', Matcher("größe", "=", "5")),
    "dotted name": ('host.name="a"', Matcher("host.name", "=", "a")),
    "quoted name": ('"host name"="a"', Matcher("host name", "=", "a")),
    "quoted name with operators": (r'"a=\"b\""!="c"', Matcher('a="b"', "!=", "c")),
    "UTF-8 value": ('city="Zürich 🏔"', Matcher("city", "=", "Zürich 🏔")),
    "braces in a quoted pattern": ('foo=~"[a-z]{3}"', Matcher("foo", "=~", "[a-z]{3}")),
}

REFUSED = {
    "empty": ("", 1, 'the matcher is empty; write it like alertname="HostDown"'),
    "blank": ("  ", 1, 'the matcher is empty; write it like alertname="HostDown"'),
    "no operator": ("alertname", 10, 'there is no operator; write it like alertname="value"'),
    "tilde alone": ('foo~"a"', 4, '~ isn\'t an operator; write foo=~"pattern"'),
    "double equals": ('foo=="a"', 5, "== isn't an operator; write one of = != =~ !~"),
    "exclamation alone": (
        'foo!"a"',
        4,
        '! needs = or ~ behind it; write foo!="value" or foo!~"pattern"',
    ),
    "no name": ('="a"', 1, "a label's name can't begin with '='; write it like name=\"value\""),
    "no name before not": ('!="a"', 1, "the label's name is missing before the operator"),
    "empty name": ('""="a"', 1, "the label's name is empty"),
    "blank in a bare value": (
        "foo=bar baz",
        8,
        "a value with ' ' must be in double quotes: foo=\"bar baz\"",
    ),
    "two in one": ("foo=a,bar=b", 6, "a value with ',' must be in double quotes: foo=\"a,bar=b\""),
    "two in one, quoted": (
        'foo="a", bar="b"',
        8,
        "unexpected ', bar=\"b\"' after the value; write each matcher on a line of its own",
    ),
    "single quotes": ("foo='a'", 5, 'a value with "\'" must be in double quotes: foo="\'a\'"'),
    "open quote": ('foo="a', 5, "the quote that begins here isn't closed; add \""),
    "quote inside": ('foo="a"b"', 8, "unexpected 'b\"' after the value; write \" inside a value"),
    "in braces": ('{foo="a"}', 1, "write each matcher by itself, without { and }"),
    "word for operator": ("foo is a", 5, "unexpected 'i' where one of = != =~ !~ belongs"),
    "broken pattern": ('foo=~"("', 6, "'(' isn't a valid RE2 pattern: missing ): (; see "),
    "lookahead": ('foo=~"(?=a)"', 6, "'(?=a)' isn't a valid RE2 pattern: invalid perl operator"),
    "too long": ("a" * 5000, 1, "the matcher has 5000 characters, 4096 are allowed"),
}


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
def test_reads_alertmanagers_syntax(text: str, expected: Matcher) -> None:
    assert parse_matcher(text) == expected


@pytest.mark.parametrize(("text", "column", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_named_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(MatcherError) as caught:
        parse_matcher(text)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


MEANING = {
    "equal": ('a="x"', {"a": "x"}, True),
    "unequal": ('a="x"', {"a": "y"}, False),
    "absent is empty": ('a=""', {}, True),
    "absent isn't x": ('a="x"', {}, False),
    "absent differs from x": ('a!="x"', {}, True),
    "absent doesn't differ from empty": ('a!=""', {}, False),
    "anchored at the start": ('a=~"b"', {"a": "ab"}, False),
    "anchored at the end": ('a=~"b"', {"a": "ba"}, False),
    "alternatives are anchored together": ('a=~"b|c"', {"a": "bc"}, False),
    "absent matches a pattern of nothing": ('a=~".*"', {}, True),
    "absent doesn't match something": ('a=~".+"', {}, False),
    "not a pattern": ('a!~"b.*"', {"a": "bc"}, False),
    "absent isn't a pattern": ('a!~"b.*"', {}, True),
    "half a surrogate pair": ('a=~".+"', {"a": "\ud800"}, True),
    "a long value": ('a=~"x+"', {"a": "x" * 5000}, True),
}


@pytest.mark.parametrize(("text", "labels", "expected"), MEANING.values(), ids=MEANING)
def test_a_matcher_holds_as_in_alertmanager(
    text: str, labels: dict[str, str], expected: object
) -> None:
    assert parse_matcher(text).matches(labels) is expected


NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable())
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(NAMES, st.sampled_from(get_args(Operator)), VALUES)
def test_what_a_matcher_prints_is_read_back(name: str, op: Operator, value: str) -> None:
    matcher = Matcher(name, op, re.escape(value) if "~" in op else value)
    assert parse_matcher(str(matcher)) == matcher


PATTERNS = st.from_regex(r"([ab.](\*|\+|\?)?|\(a\|b\)){1,5}", fullmatch=True)
LABELS = st.dictionaries(st.sampled_from("xyz"), st.text("abc", max_size=4))


@given(st.sampled_from("xyz"), st.sampled_from(get_args(Operator)), PATTERNS, LABELS)
def test_a_matcher_means_the_naive_thing(
    name: str, op: Operator, value: str, labels: dict[str, str]
) -> None:
    found = labels.get(name, "")
    naive = {
        "=": found == value,
        "!=": found != value,
        "=~": re.fullmatch(value, found) is not None,
        "!~": re.fullmatch(value, found) is None,
    }[op]
    assert Matcher(name, op, value).matches(labels) is naive


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_matcher(text)
    except MatcherError as error:
        assert 1 <= error.column <= len(text) + 1
