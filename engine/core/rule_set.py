"""The rules in the order in which they are asked, and an index that finds those that may hold.

A rule that has an equality, a list of values (`=~"a|b"`) or a prefix (`=~"llm-.+"`) among its
matchers is only asked about alerts whose label fits that one; of several the rarest counts. So the
cost of an alert follows the rules that may take it, whatever their number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

from typing_extensions import override

from engine.core.expression_batches import ConditionBatch, compile_batches
from engine.core.expressions import Expression
from engine.core.matchers import Matcher
from engine.core.rule import Rule

_SYNTAX = frozenset("\\.+*?()[]{}^$|")
# What makes the character before it optional.
_LESS = frozenset("*?{")


class Key(NamedTuple):
    """A condition that a label has to meet for a rule to hold."""

    name: str
    text: str
    is_prefix: bool = False


def keys_of(matcher: Matcher) -> tuple[Key, ...]:
    """The keys of which one has to fit where the matcher holds; none where that can't be told.

    A matcher that "" meets says nothing about labels that are there.
    """
    if matcher.op == "=":
        return (Key(matcher.name, matcher.value),) if matcher.value else ()
    if matcher.op != "=~":
        return ()
    pattern = matcher.value
    # A bar inside of a group or a class parts something else.
    is_plain = not any(character in "()[]\\" for character in pattern)
    branches = pattern.split("|") if is_plain else [pattern]
    if not is_plain and "|" in pattern:
        return ()
    keys = tuple(_key(matcher.name, branch) for branch in branches)
    return keys if all(key.text for key in keys) else ()


def _key(name: str, branch: str) -> Key:
    end = next((at for at, each in enumerate(branch) if each in _SYNTAX), len(branch))
    if end == len(branch):
        return Key(name, branch)
    return Key(name, branch[: end - 1 if branch[end] in _LESS and end else end], is_prefix=True)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the rules behind one label's keys stand; prefixes by their length."""

    exact: Mapping[str, Sequence[int]]
    prefixes: Sequence[tuple[int, Mapping[str, Sequence[int]]]]


class RuleSet(Sequence[Rule]):
    """Rules in their order; two sets of the same rules are equal."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        keys = {place: _keys_of_rule(rule) for place, rule in enumerate(self._rules)}
        shared = Counter(key for each in keys.values() for of in each for key in of)
        chosen: dict[Key, list[int]] = {}
        self._always: list[int] = []
        for place, of_matchers in keys.items():
            # The rarest: `service="x"` may be in a thousand rules, each with a name of its own.
            best = min(of_matchers, key=lambda of: max(shared[key] for key in of), default=())
            for key in dict.fromkeys(best):
                chosen.setdefault(key, []).append(place)
            if not best:
                self._always.append(place)
        self._places = _places(chosen)
        # Those that are asked about every alert; the conditions of others are rarely reached.
        found = (self._rules[place].when for place in self._always)
        batches = compile_batches([each for each in found if each is not None])
        self._batches = {text: batch for batch in batches for text in batch.texts}

    def batch_of(self, condition: Expression) -> ConditionBatch | None:
        """The batch that evaluates this condition and its neighbours at once; None without one."""
        return self._batches.get(condition.text)

    def candidates(self, labels: Mapping[str, str]) -> Iterable[Rule]:
        """The rules that may hold for these labels, in order; the others don't."""
        found: list[Sequence[int]] = [self._always] if self._always else []
        for name, places in self._places.items():
            value = labels.get(name)
            if not value:
                continue
            if exact := places.exact.get(value):
                found.append(exact)
            for length, prefixes in places.prefixes:
                if with_prefix := prefixes.get(value[:length]):
                    found.append(with_prefix)
        rules = self._rules
        if len(found) == 1:
            return [rules[place] for place in found[0]]
        return [rules[place] for place in sorted({place for each in found for place in each})]

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
    return [keys for matcher in rule.matchers if (keys := keys_of(matcher))]


def _places(chosen: Mapping[Key, Sequence[int]]) -> Mapping[str, _Places]:
    exact: dict[str, dict[str, Sequence[int]]] = {}
    prefixes: dict[str, dict[int, dict[str, Sequence[int]]]] = {}
    for key, places in chosen.items():
        if key.is_prefix:
            by_length = prefixes.setdefault(key.name, {})
            by_length.setdefault(len(key.text), {})[key.text] = places
        else:
            exact.setdefault(key.name, {})[key.text] = places
    return {
        name: _Places(exact.get(name, {}), sorted(prefixes.get(name, {}).items()))
        for name in sorted({*exact, *prefixes})
    }
