"""What the store keeps of a catalog version is that version, whatever the files say by now."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.catalog.kept import kept_sources
from engine.catalog.sources import Kind, read_sources
from engine.core.rule_documents import RuleOverlay
from engine.errors import ConfigError
from tests.doubles.declarations import ACTIONS

RULE = """\
language: 1
rules:
  - {id: %s, description: d, matchers: ['a="b"'], severity: P3, group_by: [service]}
"""
TEXTS = {
    "rules/b.yaml": RULE % "second",
    "rules/a/z.yaml": RULE % "first",
    "rules/B.yaml": RULE % "capital",
    # Their names don't tell what they are.
    "x.yaml": "language: 1\nservices: {llm: {team: inference}}\n",
    "y.yaml": "language: 1\ncommands: {look: {argv: [uptime], effect: read, repeat: harmless}}\n",
    "z.yaml": "language: 1\nceilings: [{mode: suggest}]\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> CatalogSources:
    for name, text in TEXTS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return CatalogSources(
        rules=[tmp_path / "rules"],
        shipped=shipped_folder(),
        shipped_mode="observe",
        commands=[tmp_path / "y.yaml"],
        inventory=tmp_path / "x.yaml",
        policy=tmp_path / "z.yaml",
        overlay={"first": RuleOverlay.model_validate({"mode": "observe", "severity": "P1"})},
    )


def test_the_texts_of_a_version_are_that_version(sources: CatalogSources) -> None:
    before = load_catalog(sources, ACTIONS)
    # As the journal gives them: in no order of the files.
    names = sorted(before.files, reverse=True)
    texts = {name: before.texts[before.files[name]] for name in names}
    kept = kept_sources(texts, CatalogSources(shipped_mode="observe"))
    after = load_catalog(kept, ACTIONS)
    assert (after.version, after.files) == (before.version, before.files)
    assert [each.id for each in after.rules] == [each.id for each in before.rules]
    assert after.playbooks.keys() == before.playbooks.keys()
    assert after.inventory.services == before.inventory.services
    assert after.policy.ceilings == before.policy.ceilings
    assert after.estate.commands == before.estate.commands
    read = {each.name: each for each in read_sources(sources, []) if ".test." not in each.name}
    assert {each.name: (each.kind, each.shipped) for each in kept.kept or ()} == {
        name: (each.kind, each.shipped) for name, each in read.items()
    }


def test_the_shipped_policy_lies_among_the_playbooks() -> None:
    (only,) = kept_sources({"shipped/playbooks/policy.yaml": b"{}"}, CatalogSources()).kept or ()
    assert (only.kind, only.shipped) == (Kind.POLICY, True)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"overlay": b'{"first": {"colour": "red"}}'}, id="overlay"),
        pytest.param({"x.yaml": b"a: [\n"}, id="file"),
    ],
)
def test_what_an_older_release_wrote_may_be_unreadable(texts: Mapping[str, bytes]) -> None:
    with pytest.raises(ConfigError):
        kept_sources(texts, CatalogSources())
