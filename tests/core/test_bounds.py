"""What is cut says so, and nothing grows past what it was given."""

from hypothesis import given
from hypothesis import strategies as st

from engine.core.bounds import cut, cut_texts, size_of


def test_a_text_that_fits_stays_and_another_says_how_long_it_was() -> None:
    assert cut("x" * 100, 100) == "x" * 100
    shown = cut("x" * 12_345, 100)
    assert len(shown) == 100
    assert shown.endswith("x … (cut; 12,345 characters)")


@given(st.text(max_size=300), st.integers(40, 200))
def test_no_text_is_longer_than_its_limit_however_often_it_is_cut(text: str, limit: int) -> None:
    once = cut(text, limit)
    assert len(once) <= limit
    assert cut(once, limit) == once


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=300), max_size=10))
def test_all_names_stay_and_the_texts_share_a_room(texts: dict[str, str]) -> None:
    kept = cut_texts(texts, 100, 400)
    assert list(kept) == list(texts)
    assert all(len(text) <= 100 for text in kept.values())
    assert sum(map(len, kept.values())) <= 400 + 40 * len(texts)
    if sum(len(name) + len(text) for name, text in texts.items()) <= 400:
        assert kept == {name: cut(text, 100) for name, text in texts.items()}


def test_a_size_is_that_of_the_stored_bytes() -> None:
    assert size_of({"ä": ["\0", 1]}) == len('{"ä":["\\u0000",1]}'.encode())
