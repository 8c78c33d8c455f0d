"""Plain values are typed only where every reader of YAML agrees."""

import pytest

from engine.catalog.yaml_composer import compose
from engine.catalog.yaml_plain import to_plain
from engine.core.json_value import Json
from engine.errors import ConfigError

TYPED: dict[str, Json] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
    "0": 0,
    "-7": -7,
    "8484": 8484,
    "999999999999999999": 999999999999999999,
    "0.5": 0.5,
    "-1.50": -1.5,
    "1.5e-3": 0.0015,
    "text": "text",
    "nothing": "nothing",
    "none": "none",
    "y": "y",
    "5m": "5m",
    "1h30m": "1h30m",
    "50%": "50%",
    "127.0.0.1:8484": "127.0.0.1:8484",
    "1.2.3": "1.2.3",
    "'no'": "no",
    '"010"': "010",
    "|\n  22:22": "22:22",
    "[1, 'a', {b: null}]": [1, "a", {"b": None}],
}


@pytest.mark.parametrize(("text", "value"), TYPED.items(), ids=TYPED)
def test_a_value_is_what_every_reader_takes_it_for(text: str, value: Json) -> None:
    found = to_plain(compose(f"a: {text}".encode(), "f.yaml"))
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_keys_are_always_texts() -> None:
    assert to_plain(compose(b"on: 1\n5: 2\nno: 3", "f.yaml")) == {"on": 1, "5": 2, "no": 3}


OCTAL = "a number with a leading zero is octal for some readers; quote it: "
ODD = "this number isn't read alike everywhere; quote it: "
DISPUTED = {
    "no": "'no' is false for some readers, text for others; write false, or quote it: ",
    "Yes": "'Yes' is true for some readers, text for others; write true, or quote it: ",
    "on": "'on' is true for some readers, text for others; write true, or quote it: ",
    "OFF": "'OFF' is false for some readers, text for others; write false, or quote it: ",
    "True": "'True' is text for some readers; write true, or quote it: ",
    "NULL": "'NULL' is text for some readers; write null, or quote it: ",
    "010": OCTAL,
    "012345678901": OCTAL,
    "0o7": "an octal number isn't read alike everywhere; quote it: ",
    "0x1F": "a hexadecimal number isn't read alike everywhere; quote it: ",
    "0b11": "a binary number isn't read alike everywhere; quote it: ",
    "22:22": "numbers with ':' are counted in sixties by some readers; quote it: ",
    "1:30:00": "numbers with ':' are counted in sixties by some readers; quote it: ",
    "2026-01-31": "a date becomes a time for some readers and stays text for others; quote it: ",
    "2026-01-31T12:00:00Z": "a date becomes a time for some readers and stays text for others; ",
    "1_000": ODD,
    "+5": ODD,
    ".5": ODD,
    "5.": ODD,
    "1e3": ODD,
    "1234567890123456789": "a number of more than 18 digits isn't kept exactly; quote it: ",
    ".inf": "infinity and NaN aren't values here; quote it: ",
    "-.INF": "infinity and NaN aren't values here; quote it: ",
    ".NaN": "infinity and NaN aren't values here; quote it: ",
}


@pytest.mark.parametrize(("text", "message"), DISPUTED.items(), ids=DISPUTED)
def test_what_readers_take_differently_is_shown_in_quotes(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        to_plain(compose(f"- x\n- key: {text}  # why".encode(), "f.yaml"))
    (finding,) = caught.value.findings
    assert str(finding).startswith(f"f.yaml:2:8: {message}")
    assert str(finding).endswith(f": - key: '{text}'")


def test_all_of_them_are_found_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        to_plain(compose(b"a: no\nb: {c: 010, d: 22:22}", "f.yaml"))
    assert [str(each).split(": ")[0] for each in caught.value.findings] == [
        "f.yaml:1:4",
        "f.yaml:2:8",
        "f.yaml:2:16",
    ]
    assert str(caught.value.findings[1]).endswith(": '010'")
