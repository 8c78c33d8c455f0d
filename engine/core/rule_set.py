"""The rules in the order in which they are asked, behind an index of those that may hold.

So the cost of an alert follows the rules that may take it, whatever their number.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import overload

from typing_extensions import override

from engine.core.conditions import AllOf
from engine.core.expression_batches import ConditionBatch, compile_batches
from engine.core.expressions import Expression
from engine.core.matcher_index import Key, MatcherIndex, keys_of_all
from engine.core.rule import Rule


class RuleSet(Sequence[Rule]):
    """Rules in their order; two sets of the same rules are equal."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._by_id = {rule.id: rule for rule in self._rules}
        self._index = MatcherIndex(map(_keys_of_rule, self._rules))
        # Those that are asked about every alert; the conditions of others are rarely reached.
        found = (self._rules[place].when for place in self._index.always)
        batches = compile_batches([each for each in found if each is not None])
        self._batches = {text: batch for batch in batches for text in batch.texts}
        written = (rule.conditions.inhibited_by for rule in self._rules)
        # Rules that say the same share one.
        self._inhibitions = tuple({each.id: each for each in written if each}.values())
        self._inhibiting = MatcherIndex(keys_of_all(each.matchers) for each in self._inhibitions)

    def by_id(self, rule_id: str) -> Rule | None:
        """The rule of this id, None when it was deleted or never was."""
        return self._by_id.get(rule_id)

    @property
    def inhibits(self) -> bool:
        """Whether any alert may hold others back."""
        return bool(self._inhibitions)

    def inhibitor_keys(
        self, labels: Mapping[str, str], value_of: Callable[[str], str]
    ) -> tuple[str, ...]:
        """Under which an alert with these labels holds others back."""
        candidates = (self._inhibitions[place] for place in self._inhibiting.candidates(labels))
        return tuple(each.key(value_of) for each in candidates if each.matches(labels))

    def batch_of(self, condition: Expression) -> ConditionBatch | None:
        """The batch that evaluates this condition and its neighbours at once; None without one."""
        return self._batches.get(condition.text)

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Rule]:
        """The rules that may hold for these labels, in order; the others don't."""
        places, rules = self._index.candidates(labels), self._rules
        return [rules[place] for place in places] if places else ()

    @overload
    def __getitem__(self, index: int) -> Rule: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Rule]: ...

    @override
    def __getitem__(self, index: int | slice) -> Rule | Sequence[Rule]:
        return self._rules[index]

    @override
    def __len__(self) -> int:
        return len(self._rules)

    @override
    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    __hash__ = None  # type: ignore[assignment]  # arguments of rules are mappings

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleSet) and self._rules == other._rules


def _keys_of_rule(rule: Rule) -> list[tuple[Key, ...]]:
    keys = keys_of_all(rule.matchers)
    if rule.conditions.all_of is not None and (of_parts := _keys_of_parts(rule.conditions.all_of)):
        keys.append(of_parts)
    return keys


def _keys_of_parts(all_of: AllOf) -> tuple[Key, ...]:
    """The alert is one of the parts, so one key of one of them has to fit."""
    found: list[Key] = []
    for matchers in all_of.parts:
        keys = keys_of_all(matchers)
        if not keys:
            return ()
        found.extend(keys[0])
    return tuple(found)
