"""Which texts are secrets that can be taken out, and how each character of one may be written."""

import pytest
import re2

from engine.core.secret_forms import forms_of, is_maskable, spelled


@pytest.mark.parametrize(
    ("text", "maskable"),
    [
        pytest.param("", False, id="nothing"),
        pytest.param("hunter2", False, id="seven-characters"),
        pytest.param("hunter2!", True, id="eight"),
        pytest.param("postgres", False, id="a-word-is-a-part-of-others"),
        pytest.param("PASSWORD", False, id="a-word-in-capitals"),
        pytest.param("20260131", False, id="a-number-is-a-part-of-times"),
        pytest.param("Postgres", True, id="two-kinds-of-characters"),
        pytest.param("correcthorse", True, id="a-long-word"),
        pytest.param("202601311200", True, id="a-long-number"),
        pytest.param("a\nb\nc\nd\ne", False, id="line-breaks-don't-count"),
        pytest.param("a\r\r\r\r\rb c d", False, id="nor-blanks"),
    ],
)
def test_a_secret_must_be_told_from_other_texts(text: str, maskable: bool) -> None:
    assert is_maskable(text) is maskable
    assert bool(list(forms_of(text))) is maskable


@pytest.mark.parametrize(
    ("character", "written"),
    [
        pytest.param("a", ["a"], id="letter"),
        pytest.param('"', ['"', '\\"', '\\\\\\"', "%22", "&quot;", "&#34;", "\\u0022"], id="quote"),
        pytest.param("'", ["'", "\\'", "'\"'\"'", "'\\''", "''", "&#x27;", "&#39;"], id="quote-1"),
        pytest.param("\\", ["\\", "\\\\", "\\\\\\\\", "%5C", "%5c"], id="backslash"),
        pytest.param("&", ["&", "&amp;", "&amp;amp;", "\\u0026", "%26", "\\&"], id="ampersand"),
        pytest.param(" ", [" ", "+", "%20", "\\ "], id="space"),
        pytest.param("+", ["+", "%2B", "%2b", "%252B", "\\u002b"], id="plus"),
        pytest.param("\t", ["\t", "\\t", "%09", "\\x09", "\\011"], id="tab"),
        pytest.param("é", ["é", "%C3%A9", "\\u00e9", "\\xc3\\xa9", "\\xe9", "\\303\\251"], id="é"),
        pytest.param("😀", ["😀", "\\ud83d\\ude00", "\\U0001f600", "%F0%9F%98%80"], id="astral"),
        pytest.param("\n", ["\n", "\r\n", "\\n", "\\\\n", "%0A", "&#10;", ""], id="line-break"),
    ],
)
def test_a_character_is_found_in_every_spelling(character: str, written: list[str]) -> None:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    pattern = re2.compile(spelled(character).encode(), options)
    missed = [each for each in written if not pattern.fullmatch(each.encode())]
    assert not missed
    assert not pattern.fullmatch(b"b")


def test_a_quote_at_the_edge_takes_no_other_with_it() -> None:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    pattern = re2.compile(spelled('"', at_edge=True).encode(), options)
    assert pattern.fullmatch(b'\\"')
    assert not pattern.fullmatch(b'""')


def test_lines_of_a_key_are_secrets_and_its_frame_is_not() -> None:
    line = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"
    frame = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
    key = "\n".join([frame[0], line, "AAAA", frame[1]])
    patterns = [re2.compile(form.encode()) for form in forms_of(key)]
    assert any(pattern.fullmatch(line.encode()) for pattern in patterns)
    for public in (*frame, "AAAA"):
        assert not any(pattern.fullmatch(public.encode()) for pattern in patterns)


def test_a_key_in_bytes_is_found_encoded_only() -> None:
    assert list(forms_of(b"1234567")) == []
    assert len(list(forms_of(bytes(range(32))))) == 4  # hexadecimal, three times base64


def test_half_of_a_very_long_secret_can_be_compiled() -> None:
    text = "".join(map(chr, range(33, 33 + 90))) * 100
    forms = list(forms_of(text))
    assert all(re2.compile(form.encode()) for form in forms)
