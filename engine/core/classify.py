"""Which rule takes an alert, how bad it is and how far automation may go, with every reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from engine.core.alert import Alert
from engine.core.conditions import AllOf
from engine.core.expressions import Bindings, Expression, ExpressionFailedError
from engine.core.inventory import TARGET_LABELS
from engine.core.matchers import Matcher
from engine.core.rule import Case, Cases, Rule
from engine.core.rule_set import RuleSet
from engine.core.scopes import alert_bindings
from engine.core.severity import Mode, ModeLimit, Severity

T = TypeVar("T")

# Names in `group_by` that mean what quell knows of the alert; any other name is a label.
GROUP_FIELDS = ("service", "region", "target", "environment", "team", "customer", "resource")


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds for an alert. `group` are the values that correlate, by name."""

    rule: Rule
    severity: Severity
    mode: ModeLimit
    group: Mapping[str, str]
    reasons: tuple[str, ...]

    @property
    def is_catch_all(self) -> bool:
        """Whether nothing but the rule for what no rule takes took it."""
        return self.rule.is_catch_all


@dataclass(frozen=True, slots=True)
class Classification:
    """What the rules say of one alert: who takes it, who would have, which expressions failed.

    `continued` are rules that took it and let those behind them have it too.
    """

    taken: Match | None
    observed: tuple[Match, ...] = ()
    failures: tuple[str, ...] = ()
    continued: tuple[Match, ...] = ()

    @property
    def matches(self) -> tuple[Match, ...]:
        """Every rule that has a say."""
        return (*self.observed, *self.continued, *([self.taken] if self.taken else ()))

    @property
    def is_unmatched(self) -> bool:
        """Whether no rule takes it but the one for what no rule takes."""
        return not self.continued and (self.taken is None or self.taken.is_catch_all)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one rule says of an alert, for people; `reasons` tell why, one a line."""

    rule_id: str
    outcome: Literal["takes", "observes", "differs", "not reached"]
    reasons: tuple[str, ...]


def classify(alert: Alert, rules: RuleSet) -> Classification:
    """The first rule that holds takes the alert; one in observe never does, and is noted.

    An expression that fails is no match and stops no other rule.
    """
    labels = labels_of(alert)
    candidates = rules.candidates(labels)
    if not candidates:
        return _NOBODY
    view = _View(alert, labels, rules)
    taken: Match | None = None
    observed: list[Match] = []
    continued: list[Match] = []
    for rule in candidates:
        if (continued and rule.is_catch_all) or _failing(rule, view) is not None:
            continue
        match = _match(rule, view)
        if match.mode.mode is Mode.OBSERVE:
            observed.append(match)
        elif rule.continues:
            continued.append(match)
        else:
            taken = match
            break
    return Classification(taken, tuple(observed), tuple(view.failures), tuple(continued))


def match_alone(alert: Alert, rule: Rule, rules: RuleSet) -> Match:
    """What a rule makes of an alert that it doesn't have to be asked about."""
    return _match(rule, _View(alert, labels_of(alert), rules))


@dataclass(frozen=True, slots=True)
class HeldCases:
    """Which cases of a rule hold for an alert, by their `when`; "" is the last, which has none."""

    severity: str
    mode: str


def cases_of(alert: Alert, rule: Rule, rules: RuleSet) -> HeldCases:
    """The cases that decide, should this rule take the alert."""
    view = _View(alert, labels_of(alert), rules)
    severity = _held_case(rule.severity, rule, "severity", view)
    mode = _held_case(rule.mode, rule, "mode", view)
    return HeldCases(severity.when.text if severity else "", mode.when.text if mode else "")


def labels_of(alert: Alert) -> Mapping[str, str]:
    """The labels that matchers see: those that were sent, and the alert's name."""
    labels = alert.labels
    if labels.get("alertname") == alert.name:
        return labels
    return {**labels, "alertname": alert.name}


def value_of(name: str, alert: Alert, labels: Mapping[str, str]) -> str:
    """What a name in `group_by`, `equal` or `distinct` stands for: a field, else a label."""
    if name == "target":
        # Hosts that the inventory doesn't know must not become one incident.
        named = (alert.resource, *(labels.get(label, "") for label in TARGET_LABELS))
        return alert.target or next(filter(None, named), "")
    known: str = getattr(alert, name) if name in GROUP_FIELDS else ""
    return known or labels.get(name, "")


def explain(alert: Alert, rules: RuleSet) -> tuple[Explanation, ...]:
    """Why each rule did or didn't take an alert, in the order in which they are asked."""
    view = _View(alert, labels_of(alert), rules)
    found: list[Explanation] = []
    taken_by = ""
    continued = False
    for rule in rules:
        difference = _difference(_failing(rule, view), view)
        if not difference and continued and rule.is_catch_all:
            difference = "another rule takes it"
        if difference:
            found.append(Explanation(rule.id, "differs", (difference,)))
            continue
        match = _match(rule, view)
        if match.mode.mode is Mode.OBSERVE:
            found.append(Explanation(rule.id, "observes", match.reasons))
        elif taken_by:
            reasons = (f"it would, but {taken_by} comes first", *match.reasons)
            found.append(Explanation(rule.id, "not reached", reasons))
        elif rule.continues:
            continued = True
            reasons = (*match.reasons, "it continues: the rules behind it are asked too")
            found.append(Explanation(rule.id, "takes", reasons))
        else:
            taken_by = rule.id
            found.append(Explanation(rule.id, "takes", match.reasons))
    return tuple(found)


_NOBODY = Classification(None)


@dataclass(slots=True)
class _View:
    """One alert as rules see it; failures of expressions gather here."""

    alert: Alert
    labels: Mapping[str, str]
    rules: RuleSet
    failures: list[str] = field(default_factory=list)
    # Only some alerts meet an expression.
    bindings: Bindings | None = None
    # Many rules ask the same of an alert.
    known: dict[str, bool | ExpressionFailedError] = field(default_factory=dict)
    tried: set[tuple[str, ...]] = field(default_factory=set)

    def holds(self, condition: Expression) -> bool:
        """Whether it does; evaluated once an alert. Raises ExpressionFailedError."""
        found = self.known.get(condition.text)
        if found is None:
            found = self._evaluated(condition)
        if isinstance(found, ExpressionFailedError):
            raise found
        return found

    def _evaluated(self, condition: Expression) -> bool | ExpressionFailedError:
        if self.bindings is None:
            self.bindings = alert_bindings(self.alert)
        batch = self.rules.batch_of(condition)
        if batch is not None and batch.texts not in self.tried:
            self.tried.add(batch.texts)
            if results := batch.evaluate(self.bindings):
                self.known.update(results)
                return results[condition.text]
        try:
            found: bool | ExpressionFailedError = bool(condition.evaluate(self.bindings))
        except ExpressionFailedError as error:
            found = error
        self.known[condition.text] = found
        return found


# What of a rule doesn't hold for an alert; an expression may have failed.
_Failing = Matcher | AllOf | Expression | ExpressionFailedError


def _failing(rule: Rule, view: _View) -> _Failing | None:
    """The first part of a rule that doesn't hold, None where it does."""
    labels = view.labels
    for matcher in rule.matchers:
        if not matcher.matches(labels):
            return matcher
    all_of = rule.conditions.all_of
    if all_of is not None and all_of.part_of(labels) is None:
        return all_of
    if rule.when is None:
        return None
    try:
        return None if view.holds(rule.when) else rule.when
    except ExpressionFailedError as error:
        view.failures.append(f"rule {rule.id}: when: {error}")
        return error


def _difference(failing: _Failing | None, view: _View) -> str:
    """The same in words, "" where it holds."""
    match failing:
        case None:
            return ""
        case Matcher():
            return f"{failing} fails on {view.labels.get(failing.name, '')!r}"
        case AllOf():
            return "all_of: it is none of those alerts"
        case Expression():
            return f"when: {failing.text} is false"
        case ExpressionFailedError():
            return f"when: {failing}"


def _match(rule: Rule, view: _View) -> Match:
    said = rule.verdict(
        _held_case(rule.severity, rule, "severity", view), _held_case(rule.mode, rule, "mode", view)
    )
    group = {name: value_of(name, view.alert, view.labels) for name in rule.group_by}
    return Match(rule, said.severity, said.mode, group, said.reasons)


def _held_case(cases: Cases[T], rule: Rule, word: str, view: _View) -> Case[T] | None:
    """The first case that holds; None leaves what is otherwise."""
    for case in cases.cases:
        try:
            if view.holds(case.when):
                return case
        except ExpressionFailedError as error:
            view.failures.append(f"rule {rule.id}: {word}: {error}")
    return None
