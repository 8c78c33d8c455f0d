"""Texts as parts of a page in Markdown."""


def cell(text: str) -> str:
    """As a cell of a table: one line, in which no bar ends it."""
    return text.replace("|", "\\|").replace("\n", " ")
