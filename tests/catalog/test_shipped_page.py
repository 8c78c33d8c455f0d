"""docs/rules-shipped.md tells of each shipped rule what the rule itself says."""

import re
from pathlib import Path

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.matchers import Matcher
from engine.core.rule import Rule
from tests.doubles.declarations import ACTIONS

PAGE = Path(__file__).parents[2] / "docs" / "rules-shipped.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text().split("## What Prometheus needs")[0].splitlines()
    if line.startswith("| `")
]
RULES = {
    rule.id: rule for rule in load_catalog(CatalogSources(shipped=shipped_folder()), ACTIONS).rules
}
VERTEX = "aiplatform.googleapis.com/"


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def severities(rule: Rule) -> str:
    values = {each.value.name for each in rule.severity.cases} | {rule.severity.otherwise.name}
    return ", ".join(sorted(values))


def taken_by(rule: Rule) -> Matcher | None:
    """The matcher that tells which alerts a rule is for, None for what takes everything."""
    names = ("alertname", "metric", "metric_type")
    return next((each for each in rule.matchers if each.name in names), None)


def test_each_rule_has_one_row() -> None:
    assert sorted(named(row[0])[0] for row in ROWS) == sorted(RULES)


def test_a_row_says_what_its_rule_says() -> None:
    for cells in ROWS:
        rule = RULES[named(cells[0])[0]]
        _, meaning, _, severity, playbook, _ = cells
        told = (meaning, severity, "".join(named(playbook)))
        assert told == (rule.description, severities(rule), rule.playbook), rule.id


def test_a_row_names_the_alerts_that_its_rule_takes() -> None:
    for cells in ROWS:
        rule = RULES[named(cells[0])[0]]
        matcher = taken_by(rule)
        if matcher is None:
            assert rule.id == "unmatched"
        elif matcher.name == "metric_type":
            for name in named(cells[2]):
                assert matcher.matches({"metric_type": VERTEX + name}), (rule.id, name)
        else:
            assert named(cells[2]) == matcher.value.split("|"), rule.id


def test_a_row_says_what_a_person_does() -> None:
    for cells in ROWS:
        assert len(cells[5]) > 10, cells[0]
