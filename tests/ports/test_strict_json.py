"""Strict JSON: what is refused, and that nothing but PayloadError ever comes out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import PayloadError
from engine.ports.strict_json import MAX_DEPTH, MAX_VALUES, decode

REFUSED = [
    pytest.param(b"", "not JSON", id="empty"),
    pytest.param(b"{", "not JSON", id="cut off"),
    pytest.param(b'{"a', "JSON: Unterminated string starting at character 1", id="open text"),
    pytest.param(b"{} {}", "not JSON", id="two values"),
    pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte order mark"),
    pytest.param(b'"\xff"', "not UTF-8", id="not UTF-8"),
    pytest.param('{"a": 1}'.encode("utf-16"), "not UTF-8", id="UTF-16"),
    pytest.param(b'{"a": NaN}', "NaN is not JSON", id="NaN"),
    pytest.param(b"[Infinity]", "Infinity is not JSON", id="infinity"),
    pytest.param(b"[-Infinity]", "-Infinity is not JSON", id="minus infinity"),
    pytest.param(b"[1e999]", "out of range", id="a float that becomes infinite"),
    pytest.param(b"[0." + b"1" * 100 + b"]", "out of range", id="a long fraction"),
    pytest.param(b'{"a": 1, "b": 2, "a": 1}', "key 'a' is there twice", id="duplicate key"),
    pytest.param(b'[{"x": {"a": 1, "a": 2}}]', "key 'a' is there twice", id="duplicate key inside"),
    pytest.param(b"[" * 200_000, "nested deeper", id="200,000 open lists"),
    pytest.param(b'{"a":' * 200_000, "nested deeper", id="200,000 open objects"),
    pytest.param(b"[" * 66 + b"]" * 66, "nested deeper", id="one level too many"),
    pytest.param(b'{"a":' * 66 + b"1" + b"}" * 66, "nested deeper", id="one object too many"),
    pytest.param(b"[" + b"9" * 5000 + b"]", "fit 64 bits", id="5,000 digits"),
    pytest.param(b"[18446744073709551616]", "fit 64 bits", id="2 to the 64"),
    pytest.param(b"[-9223372036854775809]", "fit 64 bits", id="below the least 64 bits"),
    pytest.param(b"[" + b"[]," * MAX_VALUES + b"1]", "more than", id="too many values"),
]
TAKEN = [
    pytest.param(b"null", None, id="null"),
    pytest.param(
        b' {"a": [1, -2.5, "x", true, null]} ', {"a": [1, -2.5, "x", True, None]}, id="all"
    ),
    pytest.param(b"[18446744073709551615]", [2**64 - 1], id="the largest of 64 bits"),
    pytest.param(b'["\\ud800"]', ["\ud800"], id="a lone surrogate is the source's to judge"),
    pytest.param(b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}], id="one key in two objects"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED)
def test_what_has_no_single_meaning_or_bounded_cost_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(PayloadError, match=says):
        decode(body)


@pytest.mark.parametrize(("body", "value"), TAKEN)
def test_json_is_taken(body: bytes, value: object) -> None:
    assert decode(body) == value


def test_the_deepest_permitted_nesting_is_taken() -> None:
    deep = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    decode(deep[1:-1])
    with pytest.raises(PayloadError):
        decode(deep)


def test_a_duplicate_among_very_many_keys_is_named_without_a_quadratic_search() -> None:
    keys = ",".join(f'"k{n}":0' for n in range(200_000))
    with pytest.raises(PayloadError, match="'k7' is there twice"):
        decode(f'{{{keys},"k7":1}}'.encode())


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_give_a_value_or_a_payload_error(body: bytes) -> None:
    try:
        decode(body)
    except PayloadError as error:
        assert error.problem


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(values)
def test_sound_json_comes_through_unchanged(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value


def as_go(value: object) -> bytes:
    """As Go's encoder writes it: without spaces, `<`, `>` and `&` escaped, a line break behind."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for plain, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        written = written.replace(plain, escaped)
    return written.encode("utf-8", "surrogatepass") + b"\n"


@given(values)
def test_what_go_writes_comes_through_unchanged(value: object) -> None:
    assert decode(as_go(value)) == value


WRITTEN_PLAINLY = [
    pytest.param(b'{"a":1,"b":2,"a":1}', "key 'a' is there twice", id="twice the same"),
    pytest.param(b'{"a":1,"a":2}', "key 'a' is there twice", id="twice, and different"),
    pytest.param(b'[{"x":{"a":1,"a":1}}]', "key 'a' is there twice", id="twice inside"),
    pytest.param(b'{"a&":1,"a\\u0026":1}', "key 'a&' is there twice", id="once in Go's spelling"),
    pytest.param(b'{"a\\u0026":1,"a\\u0026":1}', "key 'a&' is there twice", id="twice in Go's"),
    pytest.param(b"[18446744073709551616]", "fit 64 bits", id="2 to the 64"),
    pytest.param(b"[" * 66 + b"]" * 66, "nested deeper", id="one level too many"),
    pytest.param(b"[" * 300 + b"]" * 300, "nested deeper", id="more levels than orjson writes"),
    pytest.param(b"[" * 2000 + b"]" * 2000, "nested deeper", id="more levels than orjson reads"),
]


@pytest.mark.parametrize(("body", "says"), WRITTEN_PLAINLY)
def test_a_body_without_spaces_is_refused_as_any_other(body: bytes, says: str) -> None:
    with pytest.raises(PayloadError, match=says):
        decode(body)


def test_an_escaped_backslash_before_what_looks_like_an_escape_is_a_backslash() -> None:
    assert decode(b'{"a":"\\\\u0026"}') == {"a": "\\u0026"}


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "a&"]), st.integers(0, 3)), max_size=4))
def test_a_key_that_is_there_twice_is_found_in_any_order(pairs: list[tuple[str, int]]) -> None:
    body = ",".join(f"{json.dumps(key)}:{value}" for key, value in pairs)
    names = [key for key, _ in pairs]
    if len(set(names)) == len(names):
        assert decode(f"{{{body}}}".encode()) == dict(pairs)
        return
    with pytest.raises(PayloadError, match="is there twice"):
        decode(f"{{{body}}}".encode())
