"""The benchmark of loading loads what it says."""

from pathlib import Path

from benchmarks import load_rules
from engine.settings import load_settings


def test_all_rules_are_read_and_compiled(tmp_path: Path) -> None:
    load_rules.write_rules(tmp_path / "rules", 60)
    loaded = load_settings(None, {"rules_dir": tmp_path / "rules"})
    assert load_rules.load_s(loaded, 60) > 0
