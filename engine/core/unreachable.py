"""Rules that can never have their say, told only where that is certain from their own words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.core.matchers import Matcher, first_exclusion
from engine.core.rule import Rule
from engine.core.severity import Mode


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A rule that never takes or observes an alert, and why, for people."""

    rule: Rule
    reason: str


def unreachable(rules: Sequence[Rule]) -> Iterator[Unreachable]:
    """Those of `rules`, in the order in which they are asked, that no alert can reach.

    Either two of a rule's matchers exclude each other, or an earlier rule takes all that it could
    take: that one holds wherever this one does, and never only observes.
    """
    takers = _Takers(rules)
    for place, rule in enumerate(rules):
        if excluded := first_exclusion(rule.matchers):
            one, other = excluded
            yield Unreachable(rule, f"never holds: {one} and {other} exclude each other")
        elif (taker := takers.first_before(place)) is not None:
            yield Unreachable(
                rule,
                f"is never asked: rule {taker.id!r} of {taker.file} comes first and takes all "
                "that it could take",
            )


class _Takers:
    """The rules that take whatever they hold for, found by one matcher of each, the rarest."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._exact: dict[Matcher, list[int]] = {}
        # A pattern may be met by an equality of the same label.
        self._by_name: dict[str, list[int]] = {}
        # Rules without matchers, by their condition, "" for none.
        self._by_condition: dict[str, list[int]] = {}
        shared = Counter(matcher for rule in rules for matcher in rule.matchers)
        for place, rule in enumerate(rules):
            if not _always_takes(rule):
                continue
            if not rule.matchers:
                self._by_condition.setdefault(_condition(rule), []).append(place)
                continue
            rarest = min(rule.matchers, key=lambda each: shared[each])
            self._exact.setdefault(rarest, []).append(place)
            if rarest.op != "=":
                self._by_name.setdefault(rarest.name, []).append(place)

    def first_before(self, place: int) -> Rule | None:
        """The first rule before `place` that takes all that the rule there could take."""
        rule = self._rules[place]
        named = {each.name: each.value for each in rule.matchers if each.op == "="}
        places: set[int] = {
            *self._by_condition.get("", ()),
            *self._by_condition.get(_condition(rule), ()),
        }
        for matcher in rule.matchers:
            places.update(self._exact.get(matcher, ()))
        for name in named:
            places.update(self._by_name.get(name, ()))
        for each in sorted(places):
            if each < place and _covers(self._rules[each], rule, named):
                return self._rules[each]
        return None


def _always_takes(rule: Rule) -> bool:
    """Whether it takes each alert for which it holds: a rule that observes leaves them all.

    One that continues does too, and `all_of` takes only some of those that its matchers fit.
    """
    if rule.continues or rule.conditions.all_of is not None:
        return False
    modes = {rule.mode.otherwise, *(case.value for case in rule.mode.cases)}
    modes.update(cap.mode for cap in rule.caps)
    return Mode.OBSERVE not in modes


def _covers(one: Rule, other: Rule, named: Mapping[str, str]) -> bool:
    """Whether `one` holds wherever `other` does; `named` are the values that `other` names."""
    if one.when is not None and _condition(one) != _condition(other):
        return False
    return all(
        matcher in other.matchers or (matcher.name in named and matcher.matches(named))
        for matcher in one.matchers
    )


def _condition(rule: Rule) -> str:
    return "" if rule.when is None else rule.when.text
