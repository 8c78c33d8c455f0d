"""A mistake leads to the section about its place."""

import pytest

from engine.catalog.parsing import parse
from engine.catalog.references import PAGES, anchor_of, reference_of, section_of
from engine.catalog.sources import Kind, SourceFile
from engine.core.documents import PlaybookDocument
from engine.core.findings import Finding
from engine.core.mistakes import Path
from engine.core.rule_documents import RulesDocument


@pytest.mark.parametrize(
    ("kind", "path", "leads_to"),
    [
        pytest.param(Kind.PLAYBOOK, ("steps", 0), "playbook.md#step", id="a step"),
        pytest.param(Kind.PLAYBOOK, ("steps", 0, "retry", "wait"), "playbook.md#retry", id="in it"),
        pytest.param(Kind.PLAYBOOK, ("steps", 0, "rollback", 1), "playbook.md#step", id="undoing"),
        pytest.param(Kind.PLAYBOOK, ("guards", "lock"), "playbook.md#target-lock", id="a guard"),
        pytest.param(Kind.PLAYBOOK, ("steps", 0, "with", "host"), "actions.md", id="an input"),
        pytest.param(Kind.PLAYBOOK, ("verify", 0, "uses"), "actions.md", id="an action"),
        pytest.param(Kind.PLAYBOOK, (), "playbook.md#playbook", id="all of it"),
        pytest.param(Kind.RULES, ("rules", 3, "with", "host"), "rules.md#rule", id="a rule"),
        pytest.param(Kind.RULES, ("rules", 3, "severity", 0), "rules.md#severity-case", id="case"),
        pytest.param(Kind.INVENTORY, ("targets", "a", "port"), "inventory.md#target", id="target"),
        pytest.param(Kind.POLICY, ("limits", "nothing"), "policy.md#limits", id="unknown"),
    ],
)
def test_a_place_has_its_section(kind: Kind, path: Path, leads_to: str) -> None:
    assert reference_of(kind, path) == f"docs/reference/{leads_to}"


def test_expressions_have_a_page_and_some_kinds_have_none() -> None:
    told = reference_of(Kind.RULES, ("rules", 0, "when"), in_expression=True)
    assert told == "docs/reference/expressions.md"
    matcher = reference_of(Kind.RULES, ("rules", 0, "matchers", 1), in_expression=True)
    assert matcher == "docs/reference/rules.md#rule"
    assert reference_of(Kind.MAPPING, ()) == ""
    assert {Kind.MAPPING} == set(Kind) - set(PAGES)


def test_a_section_is_named_as_people_say_it() -> None:
    assert (section_of("TargetLock"), anchor_of("TargetLock")) == ("Target lock", "target-lock")
    assert section_of("StepDocument") == "Step"


def told_of(kind: Kind, model: type, text: str) -> list[Finding]:
    findings: list[Finding] = []
    parse(SourceFile(kind, "a", "a.yaml", text.encode(), shipped=False), model, findings)
    return findings


def test_a_mistake_in_the_shape_of_a_file_leads_there_as_well() -> None:
    text = "language: 1\nid: a\ndescription: d\nguards: {lock: {par: x}}\nsteps: []\nverify: []\n"
    (found,) = told_of(Kind.PLAYBOOK, PlaybookDocument, text)
    assert found.told == (
        "a.yaml:4:17: unknown key 'par', did you mean 'per'? "
        "[docs/reference/playbook.md#target-lock]"
    )


def test_what_cannot_be_read_as_yaml_leads_to_what_can() -> None:
    (found,) = told_of(Kind.PLAYBOOK, PlaybookDocument, "id: !x\n")
    assert found.reference == "docs/reference/yaml.md"


def test_a_word_that_is_known_here_is_no_foreign_word() -> None:
    text = (
        "language: 1\nrules:\n  - {id: a, description: d, severity: P9, absent: {for: 1m}, "
        "matchers: ['alertname=\"A\"'], run: x}\n"
    )
    severity, run = told_of(Kind.RULES, RulesDocument, text)
    assert "'P9' isn't one of" in severity.message
    assert "it is `playbook` here" in run.message
