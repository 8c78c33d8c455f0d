"""docs/sources/applications.md: its examples run, its table of thresholds is what ships."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.client.reporting import Thresholds
from engine.client.reporting.judging import CALLS_FAILING, CALLS_SLOW, ERRORS_LOGGED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sources" / "applications.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=ROOT,
        env=os.environ | {"QUELL_TOKEN": "t"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_defaults_are_those_of_the_code() -> None:
    written = dict(re.findall(r"\| `([a-z0-9_]+)` \| ([0-9.]+) \|$", PAGE, re.MULTILINE))
    shipped = {
        field.name: f"{getattr(Thresholds(), field.name):g}"
        for field in dataclasses.fields(Thresholds)
        if field.name != "no_failures"
    }
    assert written == shipped


def test_every_alert_is_named() -> None:
    for condition in (CALLS_FAILING, CALLS_SLOW, ERRORS_LOGGED):
        assert f"`{condition.name}`" in PAGE
