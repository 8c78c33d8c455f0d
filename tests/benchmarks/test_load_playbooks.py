"""The benchmark of loading loads what it says."""

from pathlib import Path

from benchmarks import load_playbooks


def test_new_playbooks_are_read_and_compiled_each_turn(tmp_path: Path) -> None:
    assert load_playbooks.load_new_s(tmp_path, 0, 3) > 0
    assert load_playbooks.load_new_s(tmp_path, 1, 3) > 0
    names = sorted(path.name for path in tmp_path.rglob("*.yaml"))
    assert names == [f"restart-{n}.yaml" for n in range(6)]
