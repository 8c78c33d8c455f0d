"""Read without places, a file has the same value and the same mistakes as with them."""

from collections.abc import Callable
from time import process_time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.catalog.yaml_composer import MAX_DEPTH, MAX_NODES, compose
from engine.catalog.yaml_plain import to_plain
from engine.catalog.yaml_reading import read_plain
from engine.core.json_value import Json
from engine.errors import ConfigError
from tests.catalog.test_yaml_composer import BROKEN, FLOODS, NESTED, PIECES, Flood, flooded
from tests.catalog.test_yaml_plain import DISPUTED, TYPED

DOUBTFUL = {
    "an alias": "a: &x 1\nb: *x",
    "an anchor of a list": "a: &x [1]",
    "an anchor of a key": "&x a: 1",
    "a tag": "a: !!str 1",
    "a tag of a mapping": "a: !!map {}",
    "a key twice": "a: 1\na: 2",
    "a key twice, with a mapping": "a: {b: 1}\na: {c: 2}",
    "a key twice, in other words": "a: 1\n'a': 2",
    "a key that is a list": "? [a]\n: 1",
    "a key that is a mapping": "? {a: 1}\n: 1",
    "two documents": "a: 1\n---\nb: 2",
    "two empty documents": "---\n---\n",
    "a comment in a value": "a: ${{ b # c }}",
    "a comment behind a tab": "a: ${{ b\t# c }}",
    "a comment in a key": "(a # b): c",
    "an element that is read in two ways": "[1, no]",
    "a deep list": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "keys without values": "".join(f"k{n}:\n" for n in range(MAX_NODES // 2 + 1)),
    "a syntax error at the end": "a: 1\nb: ]",
}
PLAIN: dict[str, Json] = {
    "": None,
    "# nothing": None,
    "a": "a",
    "[]": [],
    "{}": {},
    "a: {b: [1, {c: 2.5}], d: 'no'}\ne:\n- - x\n  - y": {
        "a": {"b": [1, {"c": 2.5}], "d": "no"},
        "e": [["x", "y"]],
    },
    "no: 1\n010: 2": {"no": 1, "010": 2},
    "? a\n: 1": {"a": 1},
    "a: b # why\nc: 'd # e'": {"a": "b", "c": "d # e"},
    "[" * MAX_DEPTH + "]" * MAX_DEPTH: to_plain(
        compose(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f.yaml")
    ),
}


def outcome(work: Callable[[], Json]) -> object:
    """The value, or what is wrong."""
    try:
        return work()
    except ConfigError as error:
        return str(error), [repr(each) for each in error.findings]


def read(text: bytes) -> object:
    return outcome(lambda: read_plain(text, "f.yaml"))


def composed(text: bytes) -> object:
    return outcome(lambda: to_plain(compose(text, "f.yaml")))


@pytest.mark.parametrize(("text", "value"), PLAIN.items(), ids=[repr(each[:20]) for each in PLAIN])
def test_a_right_file_has_its_value(text: str, value: Json) -> None:
    assert read(text.encode()) == value


@pytest.mark.parametrize("text", TYPED)
def test_a_plain_text_has_the_type_that_places_give_it(text: str) -> None:
    (found,) = read_plain(f"- {text}".encode(), "f.yaml")  # type: ignore[misc]
    assert found == TYPED[text]
    assert type(found) is type(TYPED[text])


@pytest.mark.parametrize("text", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_doubtful_is_refused_as_with_places(text: str) -> None:
    refused = read(text.encode())
    assert isinstance(refused, tuple)
    assert refused == composed(text.encode())


@pytest.mark.parametrize("text", [each[0] for each in BROKEN.values()], ids=BROKEN)
def test_broken_syntax_is_told_as_with_places(text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    assert read(data) == composed(data)


@pytest.mark.parametrize("text", DISPUTED)
def test_a_value_that_is_read_in_two_ways_is_told_as_with_places(text: str) -> None:
    assert read(f"a: {text}".encode()) == composed(f"a: {text}".encode())


def test_a_secret_that_can_not_be_read_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        read_plain(b"password: !hunter2", "f.yaml", may_hold_secrets=True)
    assert "hunter2" not in str(refused.value.findings)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_256_kib_of_anything_are_done_with_at_once(flood: Flood) -> None:
    text = flooded(flood)
    started = process_time()
    read(text)
    # Within 50 ms of an idle core; the rest is for a busy one.
    assert process_time() - started < 0.15


@settings(deadline=None)
@given(NESTED)
def test_what_a_yaml_writer_writes_is_read_back(value: object) -> None:
    written = yaml.safe_dump(value, allow_unicode=True, default_style='"')
    if "!!" not in written:
        assert read_plain(written.encode(), "f.yaml") == value


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
@example("a: b\n...\n# c\n--- d")
def test_any_text_has_the_same_value_or_the_same_mistakes(text: str) -> None:
    assert read(text.encode()) == composed(text.encode())
