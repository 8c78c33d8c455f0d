"""Prometheus's alerting rules are sound, fire as their tests say, and have a rule of quell each."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.catalog import CatalogSources, load_catalog, shipped_folder
from engine.core.alert import SeverityHint
from engine.core.classify import classify
from tests.doubles.declarations import ACTIONS, firing
from tests.services.process import program, run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "rules-shipped.md"
RULES = load_catalog(CatalogSources(shipped=shipped_folder()), ACTIONS).rules
# Who else raises alerts of these names.
FROM_ELSEWHERE = {
    "ModelCallsFailing": "applications (docs/sources/applications.md)",
    "ModelCallsSlow": "applications",
    "ErrorsLogged": "applications",
    "QuellStalled": "quell itself",
    "QuellStormBrake": "quell itself",
}
HINTS: Mapping[str, SeverityHint] = {
    "critical": "critical",
    "error": "error",
    "warning": "warning",
}

files = pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.rules.yaml")), ids=lambda path: path.name
)


def alerts() -> Iterator[dict[str, Any]]:
    for path in FOLDER.glob("*.rules.yaml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


each_alert = pytest.mark.parametrize(
    "alert",
    [pytest.param(each, id=f"{each['alert']}-{each['labels']['severity']}") for each in alerts()],
)


@files
def test_a_file_of_rules_passes_promtool_and_its_own_tests(path: Path) -> None:
    run([program("promtool"), "check", "rules", path])
    tests = path.with_name(path.name.replace(".rules.", ".test."))
    run([program("promtool"), "test", "rules", tests])
    text = tests.read_text()
    for group in yaml.safe_load(path.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule.get("alert", "") in text


@each_alert
def test_an_alert_says_what_people_and_quell_need(alert: dict[str, Any]) -> None:
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    assert alert["labels"]["severity"] in HINTS


@each_alert
def test_the_runbook_of_an_alert_is_about_the_rule_that_takes_it(alert: dict[str, Any]) -> None:
    hint = HINTS[alert["labels"]["severity"]]
    taken = classify(firing(alert["alert"], severity_hint=hint, service="llm"), RULES).taken
    assert taken is not None
    assert not taken.is_catch_all
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert ROOT / page == PAGE
    section = next(
        part
        for part in PAGE.read_text().split("\n## ")
        if part.splitlines()[0].lower().replace(" ", "-") == anchor
    )
    assert f"| `{taken.rule.id}` |" in section


def test_every_alert_has_a_rule_and_every_rule_its_alert() -> None:
    taken = {
        name
        for rule in RULES
        for matcher in rule.matchers
        if matcher.name == "alertname"
        for name in matcher.value.split("|")
    }
    assert {each["alert"] for each in alerts()} == taken - FROM_ELSEWHERE.keys()


def test_the_configuration_on_the_page_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    (config,) = re.findall(r"```yaml\n(# prometheus\.yml\n.*?)```", PAGE.read_text(), re.DOTALL)
    for path in FOLDER.glob("*.rules.yaml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "prometheus.yml").write_text(config)
    told = run([program("promtool"), "check", "config", tmp_path / "prometheus.yml"])
    assert f"{len(list(tmp_path.glob('*.rules.yaml')))} rule files found" in told
    jobs = {job["job_name"] for job in yaml.safe_load(config)["scrape_configs"]}
    asked = {job for each in FOLDER.glob("*.rules.yaml") for job in JOB.findall(each.read_text())}
    assert asked <= jobs


JOB = re.compile(r'job="([^"]+)"')
