"""One document, bounded, without anchors or tags; every mistake shows the line written right."""

from dataclasses import dataclass
from time import process_time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog.yaml_composer import MAX_BYTES, MAX_DEPTH, compose
from engine.catalog.yaml_nodes import MappingNode, Scalar, SequenceNode
from engine.catalog.yaml_plain import to_plain
from engine.errors import ConfigError


def findings(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as caught:
        compose(data, "f.yaml")
    return [str(each).removeprefix("f.yaml:") for each in caught.value.findings]


def test_nodes_know_their_place_and_style() -> None:
    root = compose(b"a: 'x'\nb:\n  - 1\n  - |\n    y\n", "f.yaml")
    assert isinstance(root, MappingNode)
    (a, x), (_, items) = root.entries
    assert (a.text, a.line, a.column, a.is_quoted) == ("a", 1, 1, False)
    assert isinstance(x, Scalar)
    assert (x.text, x.line, x.column, x.style) == ("x", 1, 4, "single")
    assert isinstance(items, SequenceNode)
    assert (items.line, items.column) == (3, 3)
    assert [each.style for each in items.elements if isinstance(each, Scalar)] == [
        "plain",
        "literal",
    ]


def test_an_empty_file_is_an_empty_text() -> None:
    root = compose(b"# nothing\n", "f.yaml")
    assert isinstance(root, Scalar)
    assert root.text == ""


@pytest.mark.parametrize(
    "text", [b"\xef\xbb\xbfa: b", b"---\na: b\r\n...\n", b"%YAML 1.2\n---\na: b"]
)
def test_marks_line_ends_and_directives_of_other_editors_are_taken(text: bytes) -> None:
    assert to_plain(compose(text, "f.yaml")) == {"a": "b"}


INDICATOR = "in YAML; quote the value: "
COMMENT = "' #' begins a comment and cuts the value; quote it: "
COLON = "': ' ends a key; quote the value that holds it: "
IN_FLOW = "inside [ ] and { } an expression or a pattern must be quoted: "
FLOW = "inside [ ] and { } a value with one of , : [ ] { } must be quoted, and each bracket closed"
BEHIND = "the text goes on behind its closing quote; quote all of it: "
INDENT = "this line's indentation fits nothing above it"

BROKEN = {
    "ternary": ("when: a ? b : c", "1:13: " + COLON + "when: 'a ? b : c'"),
    "ternary and comment": ("if: f() ? 1 : 2  # why", "1:13: " + COLON + "if: 'f() ? 1 : 2'"),
    "two colons": ("a: b: c", "1:5: " + COLON + "a: 'b: c'"),
    "quotes inside of a colon's value": ("a: 'b': c", "1:7: " + COLON + "a: '''b'': c'"),
    "letters beyond ASCII": ("größe: ü: x", "1:9: " + COLON + "größe: 'ü: x'"),
    "tag as an element": ("- !foo", "1:3: '!' begins a tag " + INDICATOR + "- '!foo'"),
    "not": ("when: !ok", "1:7: '!' begins a tag " + INDICATOR + "when: '!ok'"),
    "not with and": (
        "when: !a.ok && b",
        "1:14: '!' begins a tag " + INDICATOR + "when: '!a.ok && b'",
    ),
    "star": ("a: *.log", "1:5: '*' begins an alias " + INDICATOR + "a: '*.log'"),
    "and": ("a: &&", "1:5: '&' begins an anchor " + INDICATOR + "a: '&&'"),
    "at": ("a: @b", "1:4: '@' begins no value " + INDICATOR + "a: '@b'"),
    "backquote": ("a: `x`", "1:4: '`' begins no value " + INDICATOR + "a: '`x`'"),
    "percent": ("a: %x%", "1:4: '%' begins a directive " + INDICATOR + "a: '%x%'"),
    "bar": ("a: |x", "1:5: '|' begins a block " + INDICATOR + "a: '|x'"),
    "question mark": ("a: ? b", "1:4: '?' begins a key " + INDICATOR + "a: '? b'"),
    "closing brace": ("a: }", "1:4: '}' begins no value " + INDICATOR + "a: '}'"),
    "dash": ("a: - b", "1:4: a list begins on a line of its own; quote a text: a: '- b'"),
    "expression in braces": ("h: {a: ${{ x }}}", "1:9: " + IN_FLOW + "h: {a: '${{ x }}'}"),
    "expression in brackets": (
        "h: [b, ${{ x }}:1, 'c']",
        "1:9: " + IN_FLOW + "h: [b, '${{ x }}:1', 'c']",
    ),
    "nested flow": ("h: {a: [${{ x }}], b: 1}", "1:10: " + IN_FLOW + "h: {a: ['${{ x }}'], b: 1}"),
    "pattern in brackets": (
        'm: [service=~"a{2}"]',
        "1:21: " + IN_FLOW + "m: ['service=~\"a{2}\"']",
    ),
    "ternary in braces": ("h: {a: b ? c : d}", "1:14: " + FLOW + ": h: {a: 'b ? c : d'}"),
    "quote over lines": (
        "a: 'b\nc: 'd'\n",
        "1:4: the quote that begins here ends only in line 2; close it",
    ),
    "open brace": ("a: {b", "1:4: the '{' that opens in this line isn't closed"),
    "open bracket over lines": (
        "k: [a,\nb: c",
        "1:4: the '[' that opens in this line isn't closed",
    ),
    "key that is a map": ("x: {{ y }}", "1:5: a key is text; write an expression as '${{ … }}'"),
    "hash in an expression": ("x: ${{ a #b }}", "1:4: " + COMMENT + "x: '${{ a #b }}'"),
    "hash in a text": ('w: n == "a #b"', "1:4: " + COMMENT + "w: 'n == \"a #b\"'"),
    "hash in brackets": ("w: f(a #b)", "1:4: " + COMMENT + "w: 'f(a #b)'"),
    "apostrophe": ("a: 'it's'", "1:8: " + BEHIND + "a: 'it''s'"),
    "text before an operator": ('w: "a" == b', "1:8: " + BEHIND + "w: '\"a\" == b'"),
    "two texts": ("w: 'a' == 'b'", "1:8: " + BEHIND + "w: '''a'' == ''b'''"),
    "escape": (
        r'a: "\d+"',
        r"1:5: in double quotes \ begins an escape; use single ones: a: '\d+'",
    ),
    "open quote": ("a: 'b\n\nc: d", "1:4: the quote that begins here isn't closed"),
    "tab": ("a:\n\t- b", "2:1: a tab can't indent or stand before a value; use blanks"),
    "too deep a line": (
        "a: 1\n b: 2",
        "2:3: this line is indented deeper than the one above, which has a value already",
    ),
    "too shallow a line": ("- id: a\n uses: b", "2:2: " + INDENT),
    "key behind a list": ("- a\nb: c", "2:1: " + INDENT),
    "anchor": ("a: &x 1", "1:4: '&' begins an anchor " + INDICATOR + "a: '&x 1'"),
    "alias": ("a: *x", "1:4: '*' begins an alias " + INDICATOR + "a: '*x'"),
    "anchor on a list": ("a: &x [1]", "1:4: '&' begins an anchor " + INDICATOR + "a: '&x [1]'"),
    "second document": ("a: b\n---\nc: d", "2:1: a file holds one document; remove this '---'"),
    "key twice": ("a: 1\nb: 2\na: 3", "3:1: key 'a' is here twice, first in line 1"),
    "NUL": ("a: \0", "1:4: the control character U+0000 isn't allowed; remove it"),
    "line separator": (
        "a\nb: \u2028",
        "2:4: the control character U+2028 isn't allowed; remove it",
    ),
    "lone carriage return": (
        "a: b\rc",
        "1:5: the control character U+000D isn't allowed; remove it",
    ),
    "not UTF-8": (b"a: b\nc: \xc3\x28", "2:4: byte 0xc3 isn't UTF-8; save the file as UTF-8"),
    "UTF-16": ("a: b".encode("utf-16"), "1:1: byte 0xff isn't UTF-8; save the file as UTF-8"),
}


@pytest.mark.parametrize(("text", "finding"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_shows_the_line_written_right(text: str | bytes, finding: str) -> None:
    assert findings(text) == [finding]


SHOWING = (COLON, INDICATOR, COMMENT, IN_FLOW, f"{FLOW}: ", BEHIND, "quote a text: ", "ones: ")
SHOWN = {
    name: finding.partition(words)[2]
    for name, (_, finding) in BROKEN.items()
    for words in SHOWING
    if words in finding
}


@pytest.mark.parametrize("line", SHOWN.values(), ids=SHOWN)
def test_the_line_that_is_shown_can_be_read(line: str) -> None:
    compose(line.encode(), "f.yaml")


HARMLESS = {
    "comment behind an expression": "x: ${{ a }} # why",
    "apostrophe before a comment": "d: Don't # why",
    "matcher with !": '- alertname!="x"',
    "expression in a block": "host: ${{ params.host }}",
    "colon without a blank": "a: http://x:80/y",
    "key named like a bool": "on: push",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_yaml_reads_as_meant_is_taken(text: str) -> None:
    compose(text.encode(), "f.yaml")


def test_all_mistakes_that_leave_the_rest_readable_are_found_at_once() -> None:
    found = findings("a: 1\na: 2\nb: !x\nc: *y\nd: ${{ e #f }}")
    assert [each.split(" ")[0] for each in found] == ["2:1:", "3:4:", "4:4:", "5:4:"]


def test_mistakes_end_before_nobody_reads_them() -> None:
    assert len(findings("a: 1\n" * 500)) == 50


def test_a_level_too_deep_is_refused_where_it_begins() -> None:
    compose(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f.yaml")
    assert findings("[" * (MAX_DEPTH + 1)) == ["1:41: this is nested deeper than 40 levels"]


def test_a_file_too_large_is_refused() -> None:
    assert findings(b"a" * (MAX_BYTES + 1)) == [
        f"1:1: the file has {MAX_BYTES + 1} bytes, {MAX_BYTES} are allowed; split it"
    ]


@dataclass(frozen=True)
class Flood:
    piece: str
    closing: str = ""


FLOODS = {
    "brackets": Flood("["),
    "100,000 levels that close": Flood("[" * 100_000, "]" * 100_000),
    "braces": Flood("{"),
    "maps in maps": Flood("{a: "),
    "dashes in a line": Flood("- "),
    "question marks": Flood("? "),
    "colons": Flood("a: "),
    "list": Flood("- a\n"),
    "flow list": Flood("a,", "]"),
    "lists in a flow list": Flood("[],", "]"),
    "maps in a flow list": Flood("{},", "]"),
    "lists in lists": Flood("- - - - a\n"),
    "keys": Flood("".join(f"k{number}: 1\n" for number in range(30_000))),
    "numbers": Flood("0777,", "]"),
    "letters": Flood("a"),
    "a short bomb": Flood(
        "".join(f"a{n}: &a{n} [{'*a,' * 9}]\n" for n in range(8)), " " * MAX_BYTES
    ),
    "one key": Flood("a: 1\n"),
    "anchors": Flood("- &a\n"),
    "aliases": Flood("- *a\n"),
    "documents": Flood("---\n"),
    "cut values": Flood("- ${{ a #\n"),
    "comments": Flood("#"),
    "blanks": Flood(" "),
    "quotes": Flood("''"),
    "open text": Flood("'" + "a" * MAX_BYTES),
    "expressions in a line": Flood("x: [{${{ a }}, "),
    "tabs": Flood("\t"),
}


def flooded(flood: Flood) -> bytes:
    count = (MAX_BYTES - len(flood.closing)) // len(flood.piece) or 1
    return (flood.piece * count + flood.closing).encode()[:MAX_BYTES]


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_256_kib_of_anything_are_done_with_at_once(flood: Flood) -> None:
    text = flooded(flood)
    started = process_time()
    try:
        compose(text, "f.yaml")
    except ConfigError as error:
        assert 1 <= len(error.findings) <= 50
        assert len(str(error)) < 50_000
    # Within 50 ms of an idle core; the rest is for a busy one.
    assert process_time() - started < 0.15


NESTED = st.recursive(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff")
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé:#", max_size=5), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(NESTED)
def test_what_a_yaml_writer_writes_is_read_back(value: object) -> None:
    written = yaml.safe_dump(value, allow_unicode=True, default_style='"')
    if "!!" not in written:
        assert to_plain(compose(written.encode(), "f.yaml")) == value


PIECES = [
    *"a\n []{},'\"#!|>?%@`\té\\",
    ": ",
    "- ",
    "  ",
    "&b",
    "*b",
    "${{",
    "}}",
    "---",
    "no",
    "010",
]


@settings(deadline=None, max_examples=400)
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=20,
    ).map("".join)
)
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        to_plain(compose(text.encode(), "f.yaml"))
    except ConfigError as error:
        lines = text.count("\n") + 2
        for finding in error.findings:
            _, line, column, message = str(finding).split(":", 3)
            assert 1 <= int(line) <= lines
            assert int(column) >= 1
            assert message.strip()
