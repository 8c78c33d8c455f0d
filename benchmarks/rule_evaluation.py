"""What rules cost: events a CPU second by the number of rules, and rules that no index helps.

`python -m benchmarks.rule_evaluation`, from the root of the repository. Classifying alone, without
stream or store; an event in a hundred matches exactly one rule, as most of an estate's alerts are
for somebody else.
"""

import random
import time
from collections.abc import Sequence

from benchmarks.harness import Variant, compare
from engine.core.alert import Alert
from engine.core.classify import classify
from engine.core.compiling import compile_condition
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.rule import Rule, RuleContext, compile_rule
from engine.core.rule_documents import RuleDefaults, RuleDocument
from engine.core.rule_set import RuleSet
from engine.core.scopes import ALERT, alert_bindings
from tests.doubles.declarations import firing

COUNTS = (10, 100, 1_000, 10_000)
EVENTS = 5_000
CEL_RULES = 1_000
CEL_EVENTS = 200
PAIRS = 7
SERVICES = 50

CONTEXT = RuleContext("rules/x.yaml", RuleDefaults(), {}, Inventory())


def indexed(number: int) -> Rule:
    """A rule as authors write them: its alert's name, some services, and a condition."""
    return _rule(
        number,
        matchers=[f'alertname="Alert{number}"', f'service=~"svc-{number % SERVICES}.*"'],
        when='alert.labels.tier != "dev"',
        severity=[{"when": 'alert.environment == "production"', "is": "P1"}, {"is": "P3"}],
    )


def by_expression(number: int) -> Rule:
    """One that has to be evaluated to know whether it holds."""
    return _rule(number, when=f'alert.labels.check == "Alert{number}" && alert.service != "none"')


def _rule(number: int, **words: object) -> Rule:
    document = {"id": f"r{number}", "description": "d", "severity": "P3", **words}
    rule = compile_rule(RuleDocument.model_validate(document), CONTEXT, Mistakes())
    assert rule is not None
    return rule


def events(count: int, rules: int) -> Sequence[Alert]:
    """One in a hundred is for one of the rules, whichever their number."""
    draw = random.Random(rules)
    return [
        _event(draw.randrange(rules) if at % 100 == 0 else 10**6 + draw.randrange(10**6))
        for at in range(count)
    ]


def _event(number: int) -> Alert:
    return firing(
        f"Alert{number}",
        service=f"svc-{number % SERVICES}",
        environment="production",
        check=f"Alert{number}",
        tier="prod",
        instance=f"gpu-{number % 500}:9100",
    )


def rate(rules: RuleSet, alerts: Sequence[Alert], *, matching: int) -> float:
    """Events a CPU second."""
    began = time.process_time()
    taken = sum(classify(alert, rules).taken is not None for alert in alerts)
    took = time.process_time() - began
    assert taken == matching, f"{taken} events matched"
    return len(alerts) / took


def variant(rules: int) -> Variant:
    """Classifying with so many rules."""
    found = RuleSet(indexed(number) for number in range(rules))
    alerts = events(EVENTS, rules)
    return Variant(f"{rules:,} rules", lambda: rate(found, alerts, matching=EVENTS // 100))


def main() -> None:
    """Print all comparisons."""
    variants = [variant(count) for count in COUNTS]
    for each in variants[1:]:
        print(compare(variants[0], each, unit="events/CPU s", pairs=PAIRS).table())
        print()
    rules = RuleSet(by_expression(number) for number in range(CEL_RULES))
    alerts = events(CEL_EVENTS, CEL_RULES)
    condition = compile_condition('alert.labels.check == "x"', ALERT, Mistakes())
    assert condition is not None

    def bare() -> float:
        began = time.process_time()
        for alert in alerts:
            bindings = alert_bindings(alert)
            for _ in range(CEL_RULES):
                condition.evaluate(bindings)
        return len(alerts) / (time.process_time() - began)

    print(f"{CEL_RULES:,} rules that are expressions alone, beside as many bare evaluations:")
    alone = Variant("bare engine", bare)
    whole = Variant("classify", lambda: rate(rules, alerts, matching=CEL_EVENTS // 100))
    print(compare(alone, whole, unit="events/CPU s", pairs=PAIRS).table())


if __name__ == "__main__":
    main()
