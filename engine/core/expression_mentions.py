"""What an expression mentions of its scope: enough to compile it, and equal for equal ones."""

from collections.abc import Sequence
from functools import lru_cache

from engine.core.expression_tokens import Token, chain_from, text_at
from engine.core.expression_types import FunctionType, Scope, ValueType


def narrowed(tokens: Sequence[Token], scope: Scope) -> Scope | None:
    """The scope with what the tokens mention alone; None where one isn't known.

    Equal ones are the same object, whatever scopes they come from.
    """
    names: dict[str, ValueType] = {}
    functions: dict[str, FunctionType] = {}
    for index, token in enumerate(tokens):
        if token.kind != "name" or text_at(tokens, index - 1) == ".":
            continue
        parts = chain_from(tokens, index)
        if len(parts) == 1 and parts[0] in scope.functions:
            functions[parts[0]] = scope.functions[parts[0]]
            continue
        prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        found = next((each for each in prefixes if each in scope.names), "")
        if found:
            names[found] = scope.names[found]
        elif len(parts) > 1 and any(each.startswith(f"{parts[0]}.") for each in scope.names):
            return None
    return _interned(tuple(sorted(names.items(), key=_first)), tuple(sorted(functions.items())))


def narrowed_to(name: str, declared: ValueType) -> Scope:
    """The scope of an expression that is this name alone."""
    return _interned(((name, declared),), ())


def _first(pair: tuple[str, ValueType]) -> str:
    return pair[0]


@lru_cache(maxsize=4096)
def _interned(
    names: tuple[tuple[str, ValueType], ...], functions: tuple[tuple[str, FunctionType], ...]
) -> Scope:
    return Scope(dict(names), dict(functions))
