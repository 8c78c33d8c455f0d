"""Whether the inputs of an action are those that it declares."""

from collections.abc import Mapping, Sequence

from engine.core.actions import Declaration
from engine.core.expressions import ValueType
from engine.core.findings import nearest
from engine.core.json_value import Json
from engine.errors import PermanentError


def check_inputs(declaration: Declaration, inputs: Mapping[str, Json]) -> None:
    """Raise PermanentError naming the first input that is missing, unknown or of a wrong type."""
    name = declaration.name
    for word in sorted(set(inputs) - set(declaration.inputs)):
        raise PermanentError(
            f"{name} has no input {word!r}{nearest(word, declaration.inputs)}; "
            f"it takes {', '.join(declaration.inputs)}"
        )
    for word, declared in declaration.inputs.items():
        if word not in inputs:
            if declared.required:
                raise PermanentError(f"{name} needs the input {word!r}: {declared.description}")
        elif not fits(declared.type, inputs[word]):
            raise PermanentError(
                f"{name}: input {word!r} is {inputs[word]!r}, a value of type {declared.type} "
                "is needed"
            )


def fits(declared: ValueType, value: Json) -> bool:
    """Whether a JSON value is of a declared type; an int passes for a double."""
    match declared.kind:
        case "dyn":
            return True
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "double":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "list":
            element = declared.element or ValueType.DYN
            return (
                isinstance(value, Sequence)
                and not isinstance(value, str)
                and all(fits(element, each) for each in value)
            )
        case "map":
            element = declared.element or ValueType.DYN
            return isinstance(value, Mapping) and all(fits(element, v) for v in value.values())
        case "object":
            return isinstance(value, Mapping) and all(
                name in value and fits(each, value[name]) for name, each in declared.fields
            )
        case "string" | "duration" | "timestamp":
            return isinstance(value, str)
