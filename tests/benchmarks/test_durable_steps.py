"""The benchmark of durable steps measures what it says: every step once, in runs that succeed."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import durable_steps


@pytest.mark.parametrize("at_once", [1, 2])
async def test_each_step_of_each_run_is_made_once(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(durable_steps, "STEPS", 3)
    with durable_steps.databases("sqlite") as new_url:
        took_s, cpu_s = await durable_steps.quell_side(new_url(), 2, at_once)
    assert took_s > 0
    assert cpu_s > 0


def test_a_side_is_asked_for_the_same_runs_and_steps_on_a_new_database(tmp_path: Path) -> None:
    program = (
        "import json, pathlib, sys; "
        f"pathlib.Path({str(tmp_path)!r}, 'asked').write_text(json.dumps(sys.argv[1:])); "
        "print(json.dumps([2.0, 1.0]))"
    )
    side = durable_steps.Side([sys.executable, "-c", program], lambda: "sqlite:///new", [])
    assert side.rate(4, 2) == 4 * durable_steps.STEPS / 2.0
    asked = json.loads((tmp_path / "asked").read_text())
    assert asked == ["sqlite:///new", "4", "2", str(durable_steps.STEPS)]
    assert side.cpu_ms == [1000 / (4 * durable_steps.STEPS)]


def test_sqlite_tells_its_own_floor() -> None:
    assert durable_steps.sqlite_floor().startswith("SQLite's own floor: ")
