"""A finding says where and what; a misspelt word gets the nearest valid one."""

import pytest

from engine.core.findings import Finding, nearest


def test_a_finding_prints_as_file_line_column_message() -> None:
    assert str(Finding("rules/a.yaml", 3, 5, "unknown key")) == "rules/a.yaml:3:5: unknown key"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("severty", ", did you mean 'severity'?"), ("zzz", "")],
    ids=["close", "far"],
)
def test_the_nearest_word(word: str, hint: str) -> None:
    assert nearest(word, ["severity", "mode"]) == hint
