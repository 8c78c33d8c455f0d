from time import process_time

import pytest

from engine.catalog.parsing import Parsed, parse
from engine.catalog.sources import Kind, SourceFile
from engine.core.documents import InventoryDocument, PlaybookDocument
from engine.core.findings import Finding
from engine.core.rule_documents import RulesDocument

RULE = """language: 1
rules:
  - id: down
    description: It is down
    matchers: ['alertname="Down"']
    when: 'alert.name != "x"'
    severity: P1
"""


def parsed(text: str) -> tuple[Parsed[RulesDocument] | None, list[str]]:
    findings: list[Finding] = []
    source = SourceFile(Kind.RULES, "rules/x.yaml", "x.yaml", text.encode(), shipped=False)
    return parse(source, RulesDocument, findings), [str(each) for each in findings]


def test_a_right_file_becomes_its_model() -> None:
    found, told = parsed(RULE)
    assert told == []
    assert found is not None
    assert found.document.rules[0].id == "down"
    assert len(found.text_hash) == 64


def test_a_mistake_in_a_text_has_the_column_inside_of_it() -> None:
    found, _ = parsed(RULE)
    assert found is not None
    found.mistakes.at("rules", 0, "when").add("wrong", 7)
    found.mistakes.at("rules", 0, "matchers", 0).add("wrong", 11)
    found.mistakes.at("rules", 0, "playbook").add("missing")
    assert [str(each) for each in found.findings()] == [
        "x.yaml:6:18: wrong",
        "x.yaml:5:27: wrong",
        "x.yaml:3:5: missing",
    ]


def test_a_file_that_is_no_yaml_gives_nothing() -> None:
    found, told = parsed("language: 1\nlanguage: 1\n")
    assert found is None
    assert [each[:11] for each in told] == ["x.yaml:2:1:"]


def test_the_rest_of_a_file_is_read_without_what_is_wrong_in_it() -> None:
    found, told = parsed(RULE + "    cron: x\n    group_by: service\n")
    assert [each.split(": ")[0] for each in told] == ["x.yaml:8:5", "x.yaml:9:15"]
    assert found is not None
    assert found.document.rules[0].severity == "P1"
    assert set(found.dropped) == {("rules", 0, "cron"), ("rules", 0, "group_by")}


CROWDS = {
    "unknown keys": "".join(f"k{number}: 1\n" for number in range(6_000)),
    "misspelt keys of steps": "steps:\n" + "  - {id: a, us: ssh.run}\n" * 4_000,
    "steps that are texts": "steps:\n" + "  - a\n" * 8_000,
    "parameters of no type": "parameters:\n"
    + "".join(f"  p{number}: {{pattern: a}}\n" for number in range(5_000)),
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_thousands_of_mistakes_are_found_in_no_time(crowd: str) -> None:
    findings: list[Finding] = []
    text = f"language: 1\nid: x\ndescription: x\nverify: []\n{crowd}".encode()
    source = SourceFile(Kind.PLAYBOOK, "x.yaml", "x.yaml", text, shipped=False)
    started = process_time()
    found = parse(source, PlaybookDocument, findings)
    if found is not None:
        for number in range(4_000):
            found.mistakes.at("steps", number, "id").add("wrong")
        found.findings()
    # A quarter of it on an idle core. When each was compared with each, it took seconds.
    assert process_time() - started < 1.0
    assert len(findings) >= 1


def test_an_element_of_a_list_is_dropped_with_its_list() -> None:
    found, told = parsed(RULE.replace("""['alertname="Down"']""", "[1]"))
    assert len(told) == 1
    assert found is not None
    assert found.document.rules[0].matchers == ()


def test_a_mistake_that_may_follow_from_another_is_not_told() -> None:
    found, _ = parsed(RULE + "    with: 5\n")
    assert found is not None
    found.mistakes.at("rules", 0, "with").add("playbook needs 'host'")
    found.mistakes.at("rules", 0).add("something is missing")
    found.mistakes.at("rules", 0, "when").add("told")
    assert [each.message for each in found.findings()] == ["told"]


def test_without_what_is_required_nothing_more_is_read() -> None:
    found, told = parsed(RULE.replace("    severity: P1\n", ""))
    assert found is None
    assert told == ["x.yaml:3:5: key 'severity' is missing"]


def test_a_mistake_in_an_inventory_shows_no_value_of_a_connection() -> None:
    text = b"connections:\n  p:\n    token: @s3cret-1234\n"
    findings: list[Finding] = []
    source = SourceFile(Kind.INVENTORY, "inventory.yaml", "inventory.yaml", text, shipped=False)
    assert parse(source, InventoryDocument, findings) is None
    (found,) = map(str, findings)
    assert found.startswith("inventory.yaml:3:12: '@' begins no value in YAML; ")
    assert "s3cret" not in found


def told_of(playbook: str) -> list[Finding]:
    findings: list[Finding] = []
    source = SourceFile(Kind.PLAYBOOK, "a", "a.yaml", playbook.encode(), shipped=False)
    parse(source, PlaybookDocument, findings)
    return findings


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param("if_: 'true'", "unknown key 'if_', did you mean 'if'?", id="a name of ours"),
        pytest.param(
            "required: 'false'", "write true or false without quotes", id="bool-in-quotes"
        ),
        pytest.param("required: 0", "true or false must be here, not 0", id="number-for-a-bool"),
        pytest.param("retry: {attempts: '3'}", "write a whole number without quotes", id="number"),
        pytest.param("retry: {attempts: 3.0}", "a whole number must be here, not 3.0", id="float"),
    ],
)
def test_there_is_one_way_to_write_a_thing(written: str, told: str) -> None:
    step = f"steps: [{{id: a, uses: b, {written}}}]"
    text = f"language: 1\nid: a\ndescription: d\n{step}\nverify: []\n"
    (found,) = told_of(text)
    assert told in found.message
    assert found.line == 4


@pytest.mark.parametrize("language", ["true", "1.0", "'1'", "2"])
def test_the_language_is_a_number(language: str) -> None:
    text = f"language: {language}\nid: a\ndescription: d\nsteps: []\nverify: []\n"
    (found,) = told_of(text)
    assert found.message.startswith("write 1 here, not ")
