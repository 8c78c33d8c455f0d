"""Rules evaluated as plainly as it goes, from their documents: nothing of it is the engine's.

An expression is a tree, which is written as text for the engine and walked here. A failure spreads
as CEL's does: what the other side of `&&` or `||` decides by itself is so.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from engine.core.alert import Alert
from engine.core.rule_documents import RuleDocument

NAMES = ("Down", "Slow", "DiskFull", "GpuXid")
SERVICES = ("", "llm", "llm-70b", "gw", "db")
VALUES = ("", "a", "ab", "b", "a.b", "ä", "A")
NUMBERS = ("", "0", "7", "20", "-3", "x")
FIELDS = ("service", "environment", "region", "team", "customer", "severity_hint", "name")
LABELS = ("tier", "zone", "n", "instance")
GROUPS = ("service", "region", "target", "environment", "team", "zone", "tier")
SEVERITIES = ("P1", "P2", "P3", "P4")
MODES = ("observe", "observe", "suggest", "approve", "auto")
PATTERNS = (
    "a.*",
    "a|b",
    "llm-.+",
    "(llm|gw).*",
    "Down|Slow",
    "D.+",
    ".*",
    ".+",
    "[ab]?",
    "ab?",
    "llm-?.*",
    "a\\.b",
)

Value = bool | Literal["failed"]


@dataclass(frozen=True)
class Expression:
    """`text` is for the engine, `holds` is what it means."""

    text: str
    holds: Callable[[Alert], Value]


def _read(name: str) -> Callable[[Alert], str]:
    label = name.removeprefix("labels.")
    if label != name:
        return lambda alert: alert.labels.get(label, "")
    return lambda alert: str(getattr(alert, name))


def _leaf(draw: Random) -> Expression:
    name = draw.choice([*FIELDS, *(f"labels.{label}" for label in LABELS)])
    read, value = _read(name), draw.choice([*VALUES, *SERVICES, *NAMES])
    kind = draw.randrange(6)
    if kind == 0:
        return Expression(f'alert.{name} == "{value}"', lambda a: read(a) == value)
    if kind == 1:
        return Expression(f'alert.{name} != "{value}"', lambda a: read(a) != value)
    if kind == 2:
        return Expression(
            f'alert.{name}.startsWith("{value}")', lambda a: read(a).startswith(value)
        )
    if kind == 3:
        return Expression(f'alert.{name}.contains("{value}")', lambda a: value in read(a))
    if kind == 4:
        others = draw.sample(VALUES, 3)
        listed = ", ".join(f'"{each}"' for each in others)
        return Expression(f"alert.{name} in [{listed}]", lambda a: read(a) in others)
    bound = draw.randrange(-5, 25)
    return Expression(
        f"int(alert.labels.n) > {bound}", lambda a: _above(a.labels.get("n", ""), bound)
    )


def _above(text: str, bound: int) -> Value:
    return int(text) > bound if re.fullmatch("-?[0-9]+", text) else "failed"


def expression(draw: Random, depth: int = 3) -> Expression:
    """Any, so deep at most."""
    kind = draw.randrange(4) if depth else 0
    if kind == 0:
        return _leaf(draw)
    one = expression(draw, depth - 1)
    if kind == 1:
        return Expression(f"!({one.text})", lambda a: _not(one.holds(a)))
    other = expression(draw, depth - 1)
    deciding, sign = (False, "&&") if kind == 2 else (True, "||")
    text = f"({one.text}) {sign} ({other.text})"
    return Expression(text, lambda a: _both(one.holds(a), other.holds(a), deciding=deciding))


def _not(value: Value) -> Value:
    return value if value == "failed" else not value


def _both(one: Value, other: Value, *, deciding: bool) -> Value:
    if deciding in (one, other):
        return deciding
    return "failed" if "failed" in (one, other) else not deciding


Case = tuple[Expression | None, str]


@dataclass(frozen=True)
class NaiveRule:
    """A document, and what its texts mean."""

    document: RuleDocument
    matchers: Sequence[tuple[str, str, str]]
    when: Expression | None
    severity: Sequence[Case]
    mode: Sequence[Case]


def rule(draw: Random, number: int) -> NaiveRule:
    """Any rule that acts at once."""
    matchers = [_matcher(draw) for _ in range(draw.choice((0, 1, 1, 2, 3)))]
    when = expression(draw) if draw.random() < 0.6 or not matchers else None
    severity, mode = _cases(draw, SEVERITIES), _cases(draw, MODES)
    written: dict[str, Any] = {
        "id": f"r{number}",
        "description": "d",
        "matchers": [f'{name}{sign}"{_escaped(value)}"' for name, sign, value in matchers],
        "severity": _written(severity),
        "mode": _written(mode),
        "group_by": draw.sample(GROUPS, draw.randrange(4)),
        "continue": draw.random() < 0.4,
    }
    if when is not None:
        written["when"] = when.text
    return NaiveRule(RuleDocument.model_validate(written), matchers, when, severity, mode)


def _matcher(draw: Random) -> tuple[str, str, str]:
    name = draw.choice(("alertname", "service", "tier", "zone", "absent"))
    sign = draw.choice(("=", "=", "!=", "=~", "=~", "!~"))
    plain = NAMES if name == "alertname" else (*SERVICES, *VALUES)
    return name, sign, draw.choice(PATTERNS if "~" in sign else plain)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _cases(draw: Random, values: Sequence[str]) -> Sequence[Case]:
    conditions = [expression(draw, 1) for _ in range(draw.randrange(3))]
    cases: list[Case] = [(condition, draw.choice(values)) for condition in conditions]
    return [*cases, (None, draw.choice(values))]


def _written(cases: Sequence[Case]) -> object:
    if len(cases) == 1:
        return cases[0][1]
    return [
        {"is": value} if when is None else {"when": when.text, "is": value} for when, value in cases
    ]


def holds(rule: NaiveRule, alert: Alert) -> bool:
    """Whether its matchers and `when` take the alert."""
    for name, sign, value in rule.matchers:
        label = alert.name if name == "alertname" else alert.labels.get(name, "")
        fits = re.fullmatch(value, label) is not None if "~" in sign else label == value
        if fits == sign.startswith("!"):
            return False
    return rule.when is None or rule.when.holds(alert) is True


def chosen(cases: Sequence[Case], alert: Alert) -> str:
    """The first case that holds."""
    return next(value for when, value in cases if when is None or when.holds(alert) is True)


def group(rule: NaiveRule, alert: Alert) -> Mapping[str, str]:
    """What correlates: what quell knows of the alert, else the label."""
    found = {}
    for name in rule.document.group_by:
        known = str(getattr(alert, name, "")) if name != "target" else ""
        if name == "target":
            candidates = (alert.target, alert.resource, *(alert.labels.get(n, "") for n in _HOSTS))
            known = next((each for each in candidates if each), "")
        found[name] = known or alert.labels.get(name, "")
    return found


# Labels that name a target.
_HOSTS = ("target", "instance", "host", "hostname", "node")


def decided(
    rules: Sequence[NaiveRule], alert: Alert
) -> tuple[list[tuple[str, str, str, Mapping[str, str]]], list[str], list[str]]:
    """Who takes it (at most one), who observes, and who takes it and lets others have it too."""
    taken: list[tuple[str, str, str, Mapping[str, str]]] = []
    observed, continued = [], []
    for each in rules:
        if not holds(each, alert):
            continue
        mode = chosen(each.mode, alert)
        if mode == "observe":
            observed.append(each.document.id)
        elif each.document.continue_:
            continued.append(each.document.id)
        else:
            severity = chosen(each.severity, alert)
            taken.append((each.document.id, severity, mode, group(each, alert)))
            break
    return taken, observed, continued
