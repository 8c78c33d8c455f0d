"""The engine's answers for 500 rules at once, beside those of a plain evaluator of its own."""

from collections import Counter
from random import Random

import pytest
from msgspec import structs

from engine.core.alert import Alert, SeverityHint
from engine.core.classify import classify, explain
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.rule import RuleContext, compile_rule
from engine.core.rule_documents import RuleDefaults
from engine.core.rule_set import RuleSet
from tests.core import naive_rules as naive
from tests.doubles.declarations import firing

RULES = 500
ALERTS = 100
HINTS: tuple[SeverityHint, ...] = ("", "critical", "warning")
CONTEXT = RuleContext("rules/x.yaml", RuleDefaults(), {}, Inventory())


def compiled(rules: list[naive.NaiveRule]) -> RuleSet:
    mistakes = Mistakes()
    found = [compile_rule(each.document, CONTEXT, mistakes) for each in rules]
    assert mistakes.found == []
    return RuleSet(each for each in found if each is not None)


def an_alert(draw: Random) -> Alert:
    labels = {name: draw.choice(naive.VALUES) for name in ("tier", "zone") if draw.random() < 0.8}
    labels["n"] = draw.choice(naive.NUMBERS)
    if draw.random() < 0.5:
        labels["instance"] = f"gpu-{draw.randrange(3)}:9100"
    alert = firing(draw.choice(naive.NAMES), service=draw.choice(naive.SERVICES))
    known = {name: draw.choice(naive.VALUES) for name in ("environment", "region", "team")}
    return structs.replace(
        alert,
        labels={**alert.labels, **labels},
        severity_hint=draw.choice(HINTS),
        **known,
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_engine_says_of_500_rules_what_a_plain_evaluator_says(seed: int) -> None:
    draw = Random(seed)
    rules = [naive.rule(draw, number) for number in range(RULES)]
    ready = compiled(rules)
    outcomes: Counter[str] = Counter()
    for _ in range(ALERTS):
        alert = an_alert(draw)
        # Each rule alone, whoever comes before it…
        for each, told in zip(rules, explain(alert, ready), strict=True):
            assert (told.outcome != "differs") == naive.holds(each, alert), (each.document, alert)
            outcomes[told.outcome] += 1
        # …and all of them through the index, in any place of the order.
        first = draw.randrange(RULES)
        part = rules[first : first + draw.choice((1, 5, 20, RULES))]
        found = classify(alert, RuleSet(list(ready)[first : first + len(part)]))
        taken = [
            (each.rule.id, each.severity.name, each.mode.mode.value, each.group)
            for each in (found.taken,)
            if each is not None
        ]
        observed = [each.rule.id for each in found.observed]
        continued = [each.rule.id for each in found.continued]
        assert (taken, observed, continued) == naive.decided(part, alert)
        outcomes["taken"] += len(taken)
        outcomes["continued"] += len(continued)
    assert set(outcomes) == {"takes", "differs", "observes", "not reached", "taken", "continued"}
    assert min(outcomes.values()) > 10
