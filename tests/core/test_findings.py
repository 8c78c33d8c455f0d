"""A finding says where and what; a misspelt word gets the nearest valid one."""

import pytest

from engine.core.findings import Finding, nearest


def test_a_finding_prints_as_file_line_column_message() -> None:
    assert str(Finding("rules/a.yaml", 3, 5, "unknown key")) == "rules/a.yaml:3:5: unknown key"


def test_a_place_that_is_not_known_is_left_out() -> None:
    assert str(Finding("quell.yaml", 0, 0, "unknown rule")) == "quell.yaml: unknown rule"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("severty", ", did you mean 'severity'?"), ("zzz", "")],
    ids=["close", "far"],
)
def test_the_nearest_word(word: str, hint: str) -> None:
    assert nearest(word, ["severity", "mode"]) == hint
