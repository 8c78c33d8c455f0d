"""Tables that fit, texts that can't harm, ages that people read."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from engine.cli.output import (
    Column,
    ago,
    complain,
    print_indented,
    print_json,
    print_table,
    say,
    visible,
)
from engine.ports.api import CancelOrder

COLUMNS = (
    Column("id"),
    Column("n", right=True),
    Column("rule", narrowest=8, optional=True),
    Column("title", narrowest=10),
)
LONG = "the endpoint of the model does not answer any more"


def table(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    rows: Sequence[Sequence[str]],
) -> list[str]:
    monkeypatch.setenv("COLUMNS", columns)
    print_table(COLUMNS, rows)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        pytest.param(
            "80",
            [
                "id   n  rule           title",
                "A    1  endpoint-down  the endpoint of the model does not answer any more",
                "B2  12  x              y",
            ],
            id="all-fits",
        ),
        pytest.param(
            "40",
            [
                "id   n  rule           title",
                "A    1  endpoint-down  the endpoint of…",
                "B2  12  x              y",
            ],
            id="what-has-most-to-spare-is-cut",
        ),
        pytest.param(
            "24",
            ["id   n  title", "A    1  the endpoint of…", "B2  12  y"],
            id="the-optional-one-goes",
        ),
        pytest.param(
            "",
            [
                "id   n  rule           title",
                "A    1  endpoint-down  the endpoint of the model does not answer any more",
                "B2  12  x              y",
            ],
            id="nothing-is-cut-where-nobody-looks",
        ),
    ],
)
def test_a_table_is_as_wide_as_the_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    lines: list[str],
) -> None:
    rows = [("A", "1", "endpoint-down", LONG), ("B2", "12", "x", "y")]
    assert table(capsys, monkeypatch, columns, rows) == lines


def test_wide_characters_count_by_their_cells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = table(capsys, monkeypatch, "24", [("A", "1", "", "日本語のモデルが応答しない")])
    assert lines[1] == "A   1        日本語のモ…"
    assert cell_len(lines[1]) <= 24


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain [red]text[/red]", "plain [red]text[/red]", id="no-markup"),
        pytest.param("a\x1b[31mb\x07", r"a\x1b[31mb\x07", id="no-orders-to-the-terminal"),
        pytest.param("a\u202eb", r"a\u202eb", id="no-turned-text"),
        pytest.param("a\ud800b", r"a\ud800b", id="no-half-characters"),
        pytest.param(":warning: ü ✓", ":warning: ü ✓", id="letters-and-signs-stay"),
    ],
)
def test_text_from_outside_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], text: str, shown: str
) -> None:
    say(text, style="bold")
    complain(text)
    assert capsys.readouterr() == (f"{shown}\n", f"{shown}\n")
    assert visible(f" {text}\n x", one_line=True) == f"{shown} x"


def test_a_paragraph_wraps_beside_its_heads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_indented(("12:00:00", "engine"), LONG)
    assert capsys.readouterr().out.splitlines() == [
        "12:00:00  engine  the endpoint of the",
        "                  model does not answer",
        "                  any more",
    ]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    print_json({"order": CancelOrder(reason="wrong host"), "at": at})
    assert json.loads(capsys.readouterr().out) == {
        "order": {"reason": "wrong host"},
        "at": "2026-03-01T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        (timedelta(seconds=-1), "0s"),
        (timedelta(seconds=59.9), "59s"),
        (timedelta(minutes=5, seconds=59), "5m"),
        (timedelta(hours=23), "23h"),
        (timedelta(days=3), "3d"),
    ],
    ids=str,
)
def test_ages_have_one_unit(passed: timedelta, shown: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert ago(now - passed, now) == shown
    assert ago(None, now) == ""
