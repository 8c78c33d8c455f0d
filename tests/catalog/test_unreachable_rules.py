"""Unreachable rules are told at their place, and only those of the user."""

from pathlib import Path

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, shipped_folder, unreachable_rules
from engine.core.unreachable import unreachable

RULES = """\
language: 1
rules:
  - id: first
    description: d
    matchers: ['alertname="Down"']
    severity: P3
  - {id: second, description: d, severity: P3, matchers: ['alertname="Down"', 'a="b"']}
  - {id: everything, description: d, severity: P3}
"""


def test_each_is_told_at_its_id_and_shipped_ones_never(tmp_path: Path) -> None:
    path = tmp_path / "rules" / "a.yaml"
    path.parent.mkdir()
    path.write_text(RULES)
    sources = CatalogSources(rules=[path.parent], shipped=shipped_folder())
    rules = load_catalog(sources, registry.declarations()).rules
    assert rules[-1].id == "unmatched"  # `everything` comes before it
    (found,) = unreachable_rules(sources, rules)
    assert str(found) == (
        f"{path}:7:10: rule 'second' is never asked: rule 'first' of rules/a.yaml comes first and "
        "takes all that it could take"
    )


def test_nothing_that_ships_is_unreachable() -> None:
    rules = load_catalog(CatalogSources(shipped=shipped_folder()), registry.declarations()).rules
    assert rules
    assert list(unreachable(rules)) == []
