from typing import Any

import pytest
from msgspec import structs

from engine.core.classify import classify, explain
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.rule import Rule, RuleContext, compile_rule
from engine.core.rule_documents import RuleDefaults, RuleDocument
from engine.core.rule_set import RuleSet
from engine.core.severity import Mode, ModeLimit, Severity
from tests.doubles.declarations import firing

CONTEXT = RuleContext("rules/x.yaml", RuleDefaults(), {}, Inventory())


def rule(rule_id: str, **words: object) -> Rule:
    mistakes = Mistakes()
    document = {"id": rule_id, "description": "d", "severity": "P3", **words}
    found = compile_rule(RuleDocument.model_validate(document), CONTEXT, mistakes)
    assert found is not None, mistakes.found
    return found


DOWN = rule("down", matchers=['alertname="Down"', 'service=~"llm-.+"'])
REST = rule("unmatched", mode="suggest")
# JSON of a source can hold anything in an annotation: this fails wherever it isn't a number.
FAILING = "int(alert.annotations.percent) > 90"


def test_the_first_rule_that_holds_takes_the_alert() -> None:
    found = classify(firing("Down", service="llm-70b"), RuleSet([DOWN, REST]))
    assert found.taken is not None
    assert found.taken.rule is DOWN
    assert not found.taken.is_catch_all
    assert found.taken.group == {"service": "llm-70b"}
    assert found.taken.mode == ModeLimit(Mode.APPROVE, "rule down")


@pytest.mark.parametrize(
    "alert",
    [
        pytest.param(firing("Up", service="llm-70b"), id="another-name"),
        pytest.param(firing("Down", service="my-llm-70b"), id="anchored"),
        pytest.param(firing("Down"), id="absent-label"),
    ],
)
def test_what_no_rule_takes_goes_to_the_catch_all(alert: object) -> None:
    found = classify(alert, RuleSet([DOWN, REST]))  # type: ignore[arg-type]
    assert found.taken is not None
    assert found.taken.is_catch_all
    assert found.taken.mode.mode is Mode.SUGGEST


def test_alertname_is_the_name_of_the_alert_whatever_its_labels_say() -> None:
    alert = structs.replace(firing("x", service="llm-70b"), name="Down")
    taken = classify(alert, RuleSet([DOWN])).taken
    assert taken is not None


def test_a_rule_in_observe_is_noted_and_never_consumes() -> None:
    watching = rule("watching", matchers=['alertname="Down"'], mode="observe")
    found = classify(firing("Down", service="llm-70b"), RuleSet([watching, DOWN]))
    assert [match.rule.id for match in found.observed] == ["watching"]
    assert found.taken is not None
    assert found.taken.rule is DOWN


def test_a_rule_that_waits_takes_the_alert_and_says_what_for() -> None:
    windowed = rule("w", matchers=['alertname="Down"'], mode="auto", **{"for": "1m"})
    found = classify(firing("Down"), RuleSet([windowed, rule("later")]))
    assert found.taken is not None
    assert (found.taken.rule.id, found.taken.reasons[-1]) == ("w", "once it has fired for 1m")


def test_a_rule_that_continues_lets_those_behind_it_have_the_alert_but_not_the_catch_all() -> None:
    first = rule("first", matchers=['alertname="Down"'], **{"continue": True})
    second = rule("second", matchers=['service="llm"'])
    rest = rule("rest", matchers=[])
    both = classify(firing("Down", service="llm"), RuleSet([first, second, rest]))
    assert [match.rule.id for match in both.matches] == ["first", "second"]
    alone = classify(firing("Down", service="x"), RuleSet([first, second, rest]))
    assert [match.rule.id for match in alone.matches] == ["first"]
    assert not alone.is_unmatched
    told = {each.rule_id: each.outcome for each in explain(firing("Down"), RuleSet([first, rest]))}
    assert told == {"first": "takes", "rest": "differs"}


def test_all_of_takes_only_alerts_that_are_one_of_its_parts() -> None:
    parts = {"alerts": [['alertname="A"'], ['alertname="B"']], "within": "5m"}
    both = RuleSet([rule("both", matchers=[], all_of=parts)])
    assert not both[0].is_catch_all
    assert classify(firing("A"), both).taken is not None
    assert classify(firing("C"), both).taken is None
    (told,) = explain(firing("C"), both)
    assert told.reasons == ("all_of: it is none of those alerts",)
    # The index asks it only about these, too.
    assert list(both.candidates({"alertname": "C"})) == []


def test_severity_and_mode_come_from_the_first_case_that_holds() -> None:
    cased = rule(
        "cased",
        severity=[{"when": 'alert.environment == "production"', "is": "P1"}, {"is": "P4"}],
        mode=[{"when": 'alert.environment == "staging"', "is": "auto"}, {"is": "approve"}],
        matchers=['alertname="Down"'],
    )
    production = classify(firing("Down", environment="production"), RuleSet([cased])).taken
    staging = classify(firing("Down", environment="staging"), RuleSet([cased])).taken
    assert production is not None
    assert staging is not None
    assert (production.severity, production.mode.mode) == (Severity.P1, Mode.APPROVE)
    assert (staging.severity, staging.mode.mode) == (Severity.P4, Mode.AUTO)
    assert staging.mode.decided_by == 'rule cased because alert.environment == "staging"'
    assert 'P1 because alert.environment == "production"' in production.reasons


def test_an_expression_that_fails_is_no_match_and_stops_no_other_rule() -> None:
    broken = rule("broken", when=FAILING)
    found = classify(firing("Down", service="llm-70b"), RuleSet([broken, DOWN]))
    assert found.taken is not None
    assert found.taken.rule is DOWN
    (failure,) = found.failures
    assert failure.startswith("rule broken: when:")


def test_a_severity_case_that_fails_leaves_it_to_the_next() -> None:
    cased = rule("cased", severity=[{"when": FAILING, "is": "P1"}, {"is": "P3"}])
    found = classify(firing("Down"), RuleSet([cased]))
    assert found.taken is not None
    assert found.taken.severity is Severity.P3
    assert found.failures[0].startswith("rule cased: severity:")


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        pytest.param("service", {"service": "a"}, "a", id="field"),
        pytest.param("cluster", {"cluster": "c"}, "c", id="label"),
        pytest.param("cluster", {}, "", id="absent-label"),
        pytest.param("alertname", {}, "Down", id="alertname"),
        pytest.param("target", {"instance": "gpu-99:9100"}, "gpu-99:9100", id="unknown-target"),
    ],
)
def test_groups_are_fields_of_the_alert_or_labels(
    name: str, labels: dict[str, Any], value: str
) -> None:
    taken = classify(firing("Down", **labels), RuleSet([rule("r", group_by=[name])])).taken
    assert taken is not None
    assert taken.group == {name: value}


def test_what_the_inventory_knows_wins_in_groups() -> None:
    alert = structs.replace(firing("Down", instance="gpu-07:9100"), target="gpu-07")
    taken = classify(alert, RuleSet([rule("r", group_by=["target"])])).taken
    assert taken is not None
    assert taken.group == {"target": "gpu-07"}


def test_explain_says_which_condition_differs_and_who_came_first() -> None:
    rules = [
        DOWN,
        rule("watching", mode="observe", matchers=['alertname="Up"']),
        rule("when", when='alert.team == "a"'),
        rule("first", matchers=['alertname="Up"']),
        REST,
    ]
    found = explain(firing("Up", service="llm-70b"), RuleSet(rules))
    assert [(each.rule_id, each.outcome) for each in found] == [
        ("down", "differs"),
        ("watching", "observes"),
        ("when", "differs"),
        ("first", "takes"),
        ("unmatched", "not reached"),
    ]
    assert found[0].reasons == ("alertname=\"Down\" fails on 'Up'",)
    assert found[2].reasons == ('when: alert.team == "a" is false',)
    assert found[4].reasons[0] == "it would, but first comes first"


def test_conditions_that_many_rules_share_fail_for_each_and_stop_none() -> None:
    rules = RuleSet([rule(f"r{n}", when=FAILING, mode="observe") for n in range(3)] + [REST])
    found = classify(firing("Down"), rules)
    assert found.taken is not None
    assert found.taken.rule is REST
    assert [each.partition(":")[0] for each in found.failures] == ["rule r0", "rule r1", "rule r2"]
