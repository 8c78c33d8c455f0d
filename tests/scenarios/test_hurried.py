"""Alerting rules in a hurry wait and look back less, and are otherwise the same."""

import pytest

from tests.scenarios.hurried import hurried, hurried_expression


@pytest.mark.parametrize(
    ("promql", "shorter"),
    [
        ('rate(x{le="5m"}[1h]) > 0.05', 'rate(x{le="5m"}[15000ms]) > 0.05'),
        ("increase(x[5m])", "increase(x[3000ms])"),
        ("max_over_time(x[1h] offset 5h) > 1", "max_over_time(x[15000ms] offset 75000ms) > 1"),
        ("min_over_time((sum(x))[15m:1m])", "min_over_time((sum(x))[3750ms:3000ms])"),
        ("predict_linear(x[6h], 4 * 3600) > y", "predict_linear(x[90000ms], (4 * 3600) / 240) > y"),
        ("service:errors:ratio_5m > 0.05", "service:errors:ratio_5m > 0.05"),
        ("time() - x > 3 * 3600", "time() - x > 3 * 3600"),
    ],
)
def test_only_durations_are_divided(promql: str, shorter: str) -> None:
    assert hurried_expression(promql) == shorter


def test_a_wait_is_divided_and_a_label_is_not() -> None:
    rule = "{alert: A, expr: 'x > 1', for: 30m, labels: {window: 6h}}"
    (group,) = hurried(f"groups: [{{name: g, rules: [{rule}]}}]")["groups"]
    assert group["rules"] == [
        {"alert": "A", "expr": "x > 1", "for": "7500ms", "labels": {"window": "6h"}}
    ]
