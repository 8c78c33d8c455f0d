"""What CEL's checker says an expression gives, in quell's types, and whether it fits its place."""

from typing import Final

from engine.core.expression_types import ExpressionError, ValueType

_SIMPLE_KINDS: Final = ("string", "int", "double", "bool", "duration", "timestamp", "dyn")
_SIMPLE: Final = {kind.upper(): ValueType(kind) for kind in _SIMPLE_KINDS}


def value_type(spelled: str) -> ValueType | None:
    """The type that CEL spells `LIST<STRING>`; None for one that no place of quell takes."""
    if spelled.startswith("LIST<"):
        return ValueType.list_of(value_type(spelled[5:-1]) or ValueType.DYN)
    if spelled.startswith("MAP<"):
        return ValueType.map_of(value_type(spelled[4:-1].partition(", ")[2]) or ValueType.DYN)
    if spelled == "NULL":
        return ValueType.DYN
    return _SIMPLE.get(spelled)


def _passes(found: ValueType | None, expects: ValueType) -> bool:
    if found is None:
        return False
    if "dyn" in (found.kind, expects.kind):
        return True
    if found.kind == "int" and expects.kind == "double":
        return True
    if found.kind == "map" and expects.kind == "object":
        return True
    if found.kind != expects.kind:
        return False
    if found.element is not None and expects.element is not None:
        return _passes(found.element, expects.element)
    return True


def _spelled(found: ValueType | None) -> str:
    return "a type that no place takes" if found is None else str(found)


def check_type(found: ValueType | None, expects: ValueType | None) -> None:
    """Raise ExpressionError where the place needs another type."""
    if expects is not None and not _passes(found, expects):
        raise ExpressionError(f"this gives {_spelled(found)}, and {expects} is needed here", 1)
