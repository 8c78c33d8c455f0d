"""Values on their way to an expression: found by their names, in the form that CEL takes."""

from collections.abc import Mapping, Sequence

from engine.core.expression_types import ValueType


def looked_up(values: Mapping[str, object], name: str) -> object:
    """A value by its dotted name, or through nested mappings; None when there is none."""
    if name in values:
        return values[name]
    head, _, rest = name.partition(".")
    while rest:
        nested = values.get(head)
        if isinstance(nested, Mapping):
            return looked_up(nested, rest)
        part, _, rest = rest.partition(".")
        head = f"{head}.{part}"
    return None


def for_cel(declared: ValueType, value: object, labels: frozenset[str]) -> object:
    """A value as CEL takes it: real lists and dicts, real floats, and every named label."""
    if declared.labels and isinstance(value, Mapping):
        return {**dict.fromkeys(labels, ""), **value}
    if declared.kind == "double" and isinstance(value, int):
        return float(value)
    if declared.kind == "list" and isinstance(value, Sequence):
        element = declared.element or ValueType.DYN
        if element.kind == "object" or element.has_labels:
            return [for_cel(element, each, labels) for each in value]
        return list(value)
    if declared.kind == "object" and isinstance(value, Mapping):
        converted = {
            name: for_cel(each, value[name], labels)
            for name, each in declared.fields
            if name in value
        }
        return {**value, **converted}
    if declared.kind == "map" and isinstance(value, Mapping):
        return dict(value)
    return value
