"""An index over lists of matchers: which of them may hold for some labels, without asking all.

A list that has an equality, a list of values (`=~"a|b"`) or a prefix (`=~"llm-.+"`) is only asked
about labels that fit that matcher; of several the rarest counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from engine.core.matchers import Matcher

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


class _Places(NamedTuple):
    """Where the rules behind one label's keys stand; prefixes by their length."""

    exact: Mapping[str, Sequence[int]]
    prefixes: Sequence[tuple[int, Mapping[str, Sequence[int]]]]


class MatcherIndex:
    """Of numbered places, each with alternatives: keys of which one has to fit for it to hold.

    A place may have several such sets; one is enough to leave it out, so the rarest is used.
    """

    def __init__(self, keys: Iterable[Sequence[tuple[Key, ...]]]) -> None:
        by_place = dict(enumerate(keys))
        shared = Counter(key for each in by_place.values() for of in each for key in of)
        chosen: dict[Key, list[int]] = {}
        always: list[int] = []
        for place, alternatives in by_place.items():
            # The rarest: `service="x"` may be in a thousand rules, each with a name of its own.
            best = min(alternatives, key=lambda of: max(shared[key] for key in of), default=())
            for key in dict.fromkeys(best):
                chosen.setdefault(key, []).append(place)
            if not best:
                always.append(place)
        self.always: Sequence[int] = always
        self._places = list(_places(chosen).items())

    def candidates(self, labels: Mapping[str, str]) -> Sequence[int]:
        """The places that may hold for these labels, in order; the others don't."""
        found: list[Sequence[int]] = [self.always] if self.always else []
        for name, (exact, by_length) in self._places:
            value = labels.get(name)
            if not value:
                continue
            if places := exact.get(value):
                found.append(places)
            for length, prefixes in by_length:
                if with_prefix := prefixes.get(value[:length]):
                    found.append(with_prefix)
        if len(found) <= 1:
            return found[0] if found else ()
        return sorted({place for each in found for place in each})


def keys_of_all(matchers: Iterable[Matcher]) -> list[tuple[Key, ...]]:
    """The alternatives of each matcher of a list that has any."""
    return [keys for matcher in matchers if (keys := keys_of(matcher))]


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
