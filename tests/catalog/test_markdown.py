"""Texts as parts of a page in Markdown."""

from engine.catalog.markdown import cell


def test_a_cell_is_one_line_that_no_bar_ends() -> None:
    assert cell("a || b\nc") == "a \\|\\| b c"
