"""What an expression may name: value types, the scope that declares them, and its two errors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from typing_extensions import override

from engine.errors import QuellError

Kind = Literal[
    "string", "int", "double", "bool", "duration", "timestamp", "dyn", "list", "map", "object"
]


class ExpressionError(QuellError):
    """A text isn't a valid expression or template; `column` counts characters from 1.

    A text of several lines is counted through, each line break as one character.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class ExpressionFailedError(QuellError):
    """A valid expression had no value this time: a missing key, a division by zero, an overflow."""


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a value that an expression sees.

    `formatted` marks a string whose form was checked (a host, a port, a path segment, an enum):
    only such strings may stand inside a template's text. `labels` marks a map in which every
    label that an expression names is "" when it is absent. `secret` marks a reference to a secret,
    which is a text that nothing computes with.
    """

    kind: Kind
    element: "ValueType | None" = None
    fields: tuple[tuple[str, "ValueType"], ...] = ()
    formatted: bool = False
    labels: bool = False
    secret: bool = False

    STRING: ClassVar["ValueType"]
    INT: ClassVar["ValueType"]
    DOUBLE: ClassVar["ValueType"]
    BOOL: ClassVar["ValueType"]
    DURATION: ClassVar["ValueType"]
    TIMESTAMP: ClassVar["ValueType"]
    DYN: ClassVar["ValueType"]
    FORMATTED: ClassVar["ValueType"]
    LABELS: ClassVar["ValueType"]
    SECRET: ClassVar["ValueType"]

    @staticmethod
    def list_of(element: "ValueType") -> "ValueType":
        """A list whose elements all have one type; `list_of(DYN)` holds anything."""
        return ValueType("list", element)

    @staticmethod
    def map_of(element: "ValueType") -> "ValueType":
        """A map from texts to values of one type."""
        return ValueType("map", element)

    @staticmethod
    def object_of(fields: Mapping[str, "ValueType"]) -> "ValueType":
        """A group of named values. A scope declares its fields as dotted names.

        As an element of a list its field names are checked in `exists`, `all`, `filter` and
        `map`, and their types when the expression runs.
        """
        return ValueType("object", fields=tuple(fields.items()))

    @property
    def has_labels(self) -> bool:
        """Whether a map of labels is in it at any depth."""
        inner = [self.element] if self.element else [each for _, each in self.fields]
        return self.labels or any(each.has_labels for each in inner)

    @override
    def __str__(self) -> str:
        return f"{self.kind}({self.element})" if self.element else self.kind


ValueType.STRING = ValueType("string")
ValueType.INT = ValueType("int")
ValueType.DOUBLE = ValueType("double")
ValueType.BOOL = ValueType("bool")
ValueType.DURATION = ValueType("duration")
ValueType.TIMESTAMP = ValueType("timestamp")
ValueType.DYN = ValueType("dyn")
ValueType.FORMATTED = ValueType("string", formatted=True)
ValueType.LABELS = ValueType("map", ValueType.STRING, labels=True)
ValueType.SECRET = ValueType("string", secret=True)


@dataclass(frozen=True, slots=True)
class FunctionType:
    """A function of a scope that is bound when the expression runs, such as `target(id)`."""

    parameters: tuple[ValueType, ...]
    returns: ValueType


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The dotted names and the functions that expressions of one place may use.

    A scope is compared by identity and owns one compiled environment: build it once, use it for
    many expressions. One that few expressions use, as a playbook's, is `narrow`: each of them is
    compiled with the names that it mentions, and equal ones of all such scopes are compiled once.

    `secrets` are names of references to secrets, each with the names of the secrets that it may
    be, none where only a pattern says. No environment has them: such a name is a whole
    expression by itself, and that only where the place `takes_secrets`. `loops` leads from the id
    of a step that is done for each item of a loop to that loop's, which it is known in alone.
    """

    names: Mapping[str, ValueType] = field(default_factory=dict)
    functions: Mapping[str, FunctionType] = field(default_factory=dict)
    narrow: bool = False
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    takes_secrets: bool = False
    loops: Mapping[str, str] = field(default_factory=dict)

    def with_(self, name: str, declared: ValueType) -> "Scope":
        """This scope and one more name; an object becomes one dotted name per field."""
        return replace(self, names={**self.names, **dict(_flattened(name, declared))})

    def with_function(self, name: str, declared: FunctionType) -> "Scope":
        """This scope and one more function."""
        return replace(self, functions={**self.functions, name: declared})

    def taking_secrets(self) -> "Scope":
        """This scope where references to secrets may stand."""
        return replace(self, takes_secrets=True) if self.secrets else self

    def inside(self, loop: str) -> "Scope":
        """This scope where the steps of this loop aren't those of another place."""
        return replace(self, loops={k: v for k, v in self.loops.items() if v != loop})

    def merged(self, other: "Scope") -> "Scope":
        """Both scopes; where both declare a name, the other's type counts."""
        return Scope(
            {**self.names, **other.names},
            {**self.functions, **other.functions},
            self.narrow or other.narrow,
            {**self.secrets, **other.secrets},
            self.takes_secrets or other.takes_secrets,
            {**self.loops, **other.loops},
        )


def _flattened(name: str, declared: ValueType) -> Iterator[tuple[str, ValueType]]:
    if declared.kind != "object":
        yield name, declared
    for inner, each in declared.fields:
        yield from _flattened(f"{name}.{inner}", each)
