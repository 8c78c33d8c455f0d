"""The benchmark of rules measures what it says: one event in a hundred, for any number of rules."""

from benchmarks import rule_evaluation
from engine.core.rule_set import RuleSet


def test_one_event_in_a_hundred_matches_exactly_one_rule() -> None:
    for make in (rule_evaluation.indexed, rule_evaluation.by_expression):
        rules = RuleSet(make(number) for number in range(20))
        alerts = rule_evaluation.events(300, 20)
        assert rule_evaluation.rate(rules, alerts, matching=3) > 0
