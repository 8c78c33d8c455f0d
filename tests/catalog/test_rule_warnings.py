"""Doubtful and unreachable rules are told at their place, and only those of the user."""

from pathlib import Path

from connectors import registry
from engine.catalog import CatalogSources, load_catalog, rule_warnings, shipped_folder
from engine.core.doubtful import doubtful
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
    catalog = load_catalog(sources, registry.declarations())
    rules = catalog.rules
    assert rules[-1].id == "unmatched"  # `everything` comes before it
    (found,) = rule_warnings(sources, catalog)
    assert str(found) == (
        f"{path}:7:10: rule 'second' is never asked: rule 'first' of rules/a.yaml comes first and "
        "takes all that it could take"
    )


def test_nothing_that_ships_is_unreachable() -> None:
    rules = load_catalog(CatalogSources(shipped=shipped_folder()), registry.declarations()).rules
    assert rules
    assert list(unreachable(rules)) == []


def test_a_doubtful_word_is_told_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "rules" / "a.yaml"
    path.parent.mkdir()
    path.write_text(
        "language: 1\n"
        "rules:\n"
        "  - {id: fine, description: d, severity: P3, matchers: ['a=\"b\"'], group_by: [pod]}\n"
        "  - id: slip\n"
        "    description: d\n"
        "    severity: P3\n"
        "    matchers: ['a=\"c\"']\n"
        "    group_by: [team, servce]\n"
    )
    sources = CatalogSources(rules=[path.parent], shipped=shipped_folder())
    (found,) = rule_warnings(sources, load_catalog(sources, registry.declarations()))
    assert (found.line, found.column) == (8, 22)
    assert "did you mean 'service'?" in found.message


def test_nothing_that_ships_is_doubtful() -> None:
    catalog = load_catalog(CatalogSources(shipped=shipped_folder()), registry.declarations())
    told = {
        rule.id: [*doubtful(rule, catalog.playbooks.get(rule.playbook), catalog.policy)]
        for rule in catalog.rules
    }
    assert not any(told.values()), told


def test_a_slip_in_the_policy_is_told_where_it_stands(tmp_path: Path) -> None:
    inventory, policy = tmp_path / "inventory.yaml", tmp_path / "policy.yaml"
    inventory.write_text("language: 1\nservices: {llm: {environment: production}}\n")
    policy.write_text(
        "language: 1\nceilings:\n  - {when: 'environment == \"prodution\"', mode: approve}\n"
    )
    sources = CatalogSources(inventory=inventory, policy=policy, shipped=shipped_folder())
    (found,) = rule_warnings(sources, load_catalog(sources, registry.declarations()))
    assert (found.file, found.line) == (str(policy), 3)
    assert "did you mean 'production'?" in found.message
