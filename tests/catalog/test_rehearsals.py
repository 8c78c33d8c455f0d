"""Which tests are read: those that are asked for, the project's own, or the shipped ones."""

from pathlib import Path

import pytest

from engine.catalog import CatalogSources, load_rehearsals, rehearsed_inventory, shipped_folder
from engine.errors import ConfigError

TESTS = """\
language: 1
tests:
  - name: one
    alerts: [{fire: a, labels: {alertname: Down}}]
    expect: [{incidents: []}]
"""


@pytest.fixture
def sources(tmp_path: Path) -> CatalogSources:
    for name in ("rules/a.test.yaml", "rules/deep/b.test.yaml", "playbooks/c.test.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TESTS)
    return CatalogSources(
        rules=[tmp_path / "rules"], playbooks=[tmp_path / "playbooks"], shipped=shipped_folder()
    )


def names(sources: CatalogSources, *paths: Path) -> list[str]:
    return [Path(each.source.path).name for each in load_rehearsals(sources, paths)]


def test_the_project_s_own_come_without_the_shipped(sources: CatalogSources) -> None:
    assert names(sources) == ["a.test.yaml", "b.test.yaml", "c.test.yaml"]


def test_a_folder_or_a_file_can_be_asked_for(sources: CatalogSources, tmp_path: Path) -> None:
    assert names(sources, tmp_path / "rules" / "deep") == ["b.test.yaml"]
    assert names(sources, tmp_path / "playbooks/c.test.yaml") == ["c.test.yaml"]
    assert "disk.test.yaml" in names(sources, shipped_folder() / "rules")


def test_without_own_ones_the_shipped_are_read() -> None:
    assert "restart-vllm.test.yaml" in names(CatalogSources(shipped=shipped_folder()))


def test_all_mistakes_are_told(sources: CatalogSources, tmp_path: Path) -> None:
    wrong = TESTS.replace("fire: a", "resolve: b")
    (tmp_path / "rules/a.test.yaml").write_text(wrong)
    (tmp_path / "playbooks/c.test.yaml").write_text(TESTS.replace("expect", "expects"))
    with pytest.raises(ConfigError) as told:
        load_rehearsals(sources)
    assert "a.test.yaml:4:" in str(told.value)
    assert "c.test.yaml:5:" in str(told.value)


def test_a_file_may_bring_its_own_inventory(sources: CatalogSources, tmp_path: Path) -> None:
    own = "inventory: {targets: {gpu-07: {kind: host, aliases: [gpu-7]}}}\n"
    (tmp_path / "rules/a.test.yaml").write_text(TESTS.replace("tests:", f"{own}tests:"))
    first, second, _ = load_rehearsals(sources)
    inventory = rehearsed_inventory(first)
    assert inventory is not None
    assert inventory.target_id("gpu-7") == "gpu-07"
    assert rehearsed_inventory(second) is None
