"""What outside text becomes in a column."""

import pytest
from sqlalchemy.dialects import sqlite

from engine.store.tables import FreeText


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", ""),
        ("plain", "plain"),
        ("größe 模型 🚨", "größe 模型 🚨"),
        ("a\0b", "a\ufffdb"),
        ("ö\0", "ö\ufffd"),
        ("\ud800x", "?x"),
    ],
    ids=["none", "empty", "ascii", "unicode", "nul", "nul-beside-unicode", "lone-surrogate"],
)
def test_free_text_becomes_what_every_database_keeps(text: str | None, kept: str | None) -> None:
    assert FreeText().process_bind_param(text, sqlite.dialect()) == kept
