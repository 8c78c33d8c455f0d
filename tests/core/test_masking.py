"""Secrets are taken out of texts, in every form, whatever is around them, and nothing else is."""

import base64
import html
import json
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from engine.core.json_value import Json
from engine.core.masking import MASK, NO_SECRETS, Masker
from engine.core.secret_forms import MIN_CUT_LENGTH, is_maskable

TOKEN = "xoxb-2635942-4hT/q+Zs9=wP"
AWKWARD = "p/+=\"%&\n' ä\\€z😀x<1"
NAME = "people.slack.bot_token"

# How a text is written where it travels.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "JSON by Go": lambda text: json.dumps(text).replace("&", "\\u0026").replace("<", "\\u003c"),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "URL": lambda text: quote(text, safe=""),
    "URL's path": quote,
    "form": quote_plus,
    "URL in a URL": lambda text: quote_plus(quote(text)),
    "HTML": html.escape,
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "shell": shlex.quote,
    "base64": lambda text: _base64(text),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: _base64(text).rstrip("="),
    "base64 with a line's end": lambda text: _base64(f"{text}\n"),
    "base64 in a URL": lambda text: quote_plus(_base64(text)),
    "HTTP Basic": lambda text: _base64(f"u:{text}"),
    "HTTP Basic of another user": lambda text: _base64(f"us:{text}"),
    "HTTP Basic of a third": lambda text: _base64(f"usr:{text}"),
    "MIME": lambda text: base64.encodebytes((text * 3).encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "in capitals": lambda text: text.encode().hex().upper(),
}
# Without surrogates, which none of the encodings above takes.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40)
# What a secret may be made of to be whole in one line of any spelling.
CHARACTERS = st.sampled_from("abcXYZ019-_.~/+=\"'%&<> \\é€😀")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("written", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("secret", [TOKEN, AWKWARD], ids=["token", "awkward"])
def test_a_secret_is_masked_in_every_form(secret: str, written: Callable[[str], str]) -> None:
    masker = Masker([(NAME, secret)])
    text = f"before {written(secret)} after"
    masked = masker.mask(text)
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert MASK[:-1] in masked
    # Of base64 some bits of the first and the last character may be left, with what is around.
    left = masked.replace("[masked people.slack.bot_token]", MASK).split(MASK)
    assert all(len(each) < 16 for each in left), masked
    assert masker.found(text) == NAME
    assert masker.found(masked) == ""


def test_an_operator_is_told_which_one_where_there_is_room() -> None:
    masker = Masker([("token", TOKEN), ("a.longer.name.than.the.secret", "hunter2!")])
    assert masker.mask(f"a {TOKEN} b") == "a [masked token] b"
    assert masker.mask("a hunter2! b") == "a [masked] b"


@pytest.mark.parametrize(
    ("secrets", "text", "masked"),
    [
        pytest.param(
            ["abcd-1234", "abcd-1234-5678"], "<abcd-1234-5678>", "<[masked 1]>", id="longest"
        ),
        pytest.param(["abcd-1234", "1234-efgh"], "<abcd-1234-efgh>", "<[masked 0]>", id="overlap"),
        pytest.param(["abcd-1234", "efgh-5678"], "abcd-1234efgh-5678", "[masked 0]", id="adjacent"),
        pytest.param(["a-a-a-a-"], "a-a-a-a-a-a-a-a", "[masked 0]a", id="in-itself"),
        pytest.param(
            ["first-line-of-it\nsecond-line-of-it"],
            "2: second-line-of-it",
            "2: [masked 0]",
            id="a-line-of-several",
        ),
        pytest.param([f"{TOKEN}\n"], TOKEN, "[masked 0]", id="with-a-line's-end"),
        pytest.param(["abcd-1234-5678"], "abcd-12\n34-5678", "[masked 0]", id="wrapped"),
        pytest.param(["abcd-1234-5678"], '"abcd-12\\n34-5678"', '"[masked 0]"', id="wrapped-json"),
        pytest.param(["\\new-secret"], "x\\new-secret", "x[masked 0]", id="looks-like-an-escape"),
        pytest.param(["new-secret"], "\\new-secret", "\\[masked 0]", id="behind-a-backslash"),
        pytest.param(['"quoted-one"'], '{"a":"\\"quoted-one\\""}', '{"a":"[masked 0]"}', id="json"),
    ],
)
def test_what_is_masked_of_a_text(secrets: list[str], text: str, masked: str) -> None:
    masker = Masker((str(index), secret) for index, secret in enumerate(secrets))
    assert masker.mask(text) == masked


@pytest.mark.parametrize("kept", [0.5, 0.6, 0.8, 0.95, 1.0])
@pytest.mark.parametrize(
    "written", [str, json.dumps, quote, _base64], ids=["raw", "json", "url", "base64"]
)
def test_a_cut_secret_is_masked_while_half_of_it_is_there(
    kept: float, written: Callable[[str], str]
) -> None:
    secret = "Zp8-kQ2/vR7+tY4=wX1&uI9-oP3/aS6+"
    text = written(secret).strip('"')
    shown = text[: int(len(text) * kept)]
    masked = Masker([("token", secret)]).mask(f"{shown}… (cut)")
    assert masked.startswith(("[masked", text[:1] + "[masked"))
    assert len(masked.partition("]")[2].removesuffix("… (cut)")) < 10


@pytest.mark.parametrize("secret", ["[masked]", "]abcdefgh", "[masked to", "o] and [masked"])
def test_a_secret_like_our_own_words_does_not_stay_either(secret: str) -> None:
    masker = Masker([("to", TOKEN), ("odd", secret)])
    text = f"{TOKEN}abcdefgh and {TOKEN} and {secret} {TOKEN}"
    masked = masker.mask(text)
    assert secret not in masked or masked == MASK
    assert TOKEN not in masked


def test_values_are_masked_wherever_they_are() -> None:
    masker = Masker([("token", TOKEN)])
    value: Json = {"a": [TOKEN, 3, None, {f"k {TOKEN}": True}], "b": "clean", "c": 1.5}
    assert masker.mask_values(value) == {
        "a": ["[masked token]", 3, None, {"k [masked token]": True}],
        "b": "clean",
        "c": 1.5,
    }


def test_what_can_not_be_masked_is_named() -> None:
    masker = Masker([("short", "abc"), ("token", TOKEN), ("empty", ""), ("word", "postgres")])
    assert masker.unmasked == ("word", "short")
    assert masker.mask("abc postgres") == "abc postgres"


def test_without_secrets_nothing_is_looked_for() -> None:
    assert NO_SECRETS.mask(TOKEN) == TOKEN
    assert NO_SECRETS.found(TOKEN) == ""


@given(SECRETS, TEXTS, TEXTS, st.sampled_from(sorted(SPELLINGS)))
@example("a\nb\nc\nd\n12", "", "", "as it is")
@example('""""""""a', '"', '"', "as it is")
@settings(deadline=None)
def test_no_form_of_any_secret_remains(secret: str, before: str, after: str, how: str) -> None:
    secret = secret.strip()
    assume(is_maskable(secret))
    masker = Masker([("s", secret)])
    written = SPELLINGS[how](secret)
    text = f"{before}{written}{after}"
    masked = masker.mask(text)
    assert written not in masked
    assert secret not in masked
    assert masked is not text
    assert masker.mask(masked) == masked
    assert len(masked) <= len(text)


@given(st.lists(SECRETS, max_size=4), TEXTS, TEXTS)
@settings(deadline=None)
def test_none_of_several_secrets_remains(secrets: list[str], before: str, after: str) -> None:
    known = [each.strip() for each in secrets]
    masker = Masker((str(index), each) for index, each in enumerate(known))
    masked = masker.mask(before + "".join(secrets) + after)
    for each in known:
        if is_maskable(each):
            assert each not in masked
    assert masker.mask(masked) == masked


@given(st.text(CHARACTERS, min_size=8, max_size=40), st.data())
@settings(deadline=None)
def test_no_more_than_half_of_a_cut_secret_remains(secret: str, data: st.DataObject) -> None:
    secret = secret.strip()
    assume(is_maskable(secret))
    place = data.draw(st.integers(0, len(secret)))
    masked = Masker([("s", secret)]).mask(f"<{secret[:place]}")
    most = min(len(secret), max(MIN_CUT_LENGTH, (len(secret) + 1) // 2))
    assert len(masked) <= len("<") + max(most, len("[masked s]") + 3)
    if place >= most:
        assert masked.startswith("<[masked")


@given(st.lists(st.text(CHARACTERS, min_size=12, max_size=20), max_size=5), st.text())
@settings(deadline=None)
def test_a_text_without_a_secret_comes_back_as_it_is(secrets: list[str], text: str) -> None:
    # A letter that no secret has stands often enough for no half of one to be there.
    text = "ß".join(text[at : at + 3] for at in range(0, len(text), 3))
    masker = Masker((str(index), each) for index, each in enumerate(secrets))
    assert masker.mask(text) is text


@given(st.text(st.characters(), min_size=8), st.text(st.characters()))
@settings(deadline=None)
def test_it_never_fails_and_never_makes_a_text_longer(secret: str, text: str) -> None:
    masker = Masker([("s", secret)])
    for each in (text, secret, f"{text}{secret}{text}"):
        assert len(masker.mask(each)) <= len(each)


@pytest.mark.parametrize(
    "text",
    ["x" * 2**16, "a-b-" * 2**14, "a-b-\n" * 2**13, "%2" * 2**15, "\\" * 2**16, '"' * 2**16],
    ids=["plain", "full-of-it", "broken", "percents", "backslashes", "quotes"],
)
def test_the_time_is_in_proportion_to_the_text(text: str) -> None:
    masker = Masker([("s", "a-b-a-b-a-b-"), ("t", '\\"%&"\\"%&"\\"'), ("u", "%2%2%2%2%2")])
    masker.mask(text)
    took = []
    for size in (len(text) // 4, len(text)):
        began = time.thread_time()
        masker.mask(text[:size])
        took.append(time.thread_time() - began)
    # Four times as much text, so a square would take sixteen times as long.
    assert took[1] < 12 * took[0] + 0.05
