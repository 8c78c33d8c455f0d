"""CEL expressions, checked against declared names when a file is loaded and evaluated by budget.

The only file that knows the CEL library. Nothing here reads a clock, and no expression can loop:
its length, depth and iterations are bounded.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from engine.core.durations import parse_duration
from engine.core.expression_checks import check_words
from engine.core.expression_equalities import Equalities, all_hold, equalities
from engine.core.expression_functions import (
    FUNCTIONS,
    OWN_DURATION,
    environment_config,
    extremes,
    with_own_duration,
)
from engine.core.expression_mentions import narrowed, narrowed_to
from engine.core.expression_messages import compile_error, runtime_reason
from engine.core.expression_returns import check_type, value_type
from engine.core.expression_secrets import is_secret
from engine.core.expression_tokens import Token, called, read_tokens, text_at
from engine.core.expression_types import (
    ExpressionError,
    ExpressionFailedError,
    FunctionType,
    Scope,
    ValueType,
)
from engine.core.expression_values import for_cel, looked_up

__all__ = [
    "FUNCTIONS",
    "Bindings",
    "Expression",
    "ExpressionError",
    "ExpressionFailedError",
    "FunctionType",
    "Scope",
    "ValueType",
    "compile_expression",
]

MAX_LENGTH = 4096

_PLAIN_KINDS: Final = frozenset({"string", "int", "double", "bool"})
_ERROR = cel.Type.ERROR
_NULL = cel.Type.NULL
_CEL_TYPES = {
    "string": cel.Type.STRING,
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "bool": cel.Type.BOOL,
    "duration": cel.Type.DURATION,
    "timestamp": cel.Type.TIMESTAMP,
    "dyn": cel.Type.DYN,
}
_PYTHON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "double": (int, float),
    "bool": bool,
    "duration": timedelta,
    "timestamp": datetime,
    "list": list,
    "map": dict,
    "object": dict,
}


class Bindings:
    """The values of one event or run, converted once and shared by every expression over them.

    Values go by dotted name (`"alert.name"`) or nested (`"alert": {"name": ...}`). Their elements
    are what JSON has, plus aware datetimes and timedeltas. `functions` are those that the scope
    declares; one of them raises an error to make the expression fail.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        functions: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:
        self._values = values
        self._functions = functions or {}
        self._plain: dict[Environment, dict[str, object]] = {}
        self._activations: dict[tuple[Environment, frozenset[str]], object] = {}

    def all_hold(self, compared: Equalities) -> bool | None:
        """Whether all of these do; None where a value isn't there by its dotted name."""
        return all_hold(compared, self._values)

    def activation(self, environment: "Environment", labels: frozenset[str]) -> object:
        """CEL's form of the values, with each of these labels bound; one per set of labels.

        An expression sees "" for the absent labels that it names and never those of another, so
        what it gives doesn't depend on its neighbours.
        """
        key = (environment, labels)
        found = self._activations.get(key)
        if found is None:
            found = environment.cel_env.Activation(
                self._bound(environment, labels), environment.implementations(self._functions)
            )
            self._activations[key] = found
        return found

    def _bound(self, environment: "Environment", labels: frozenset[str]) -> dict[str, object]:
        names = environment.scope.names
        plain = self._plain.get(environment)
        if plain is None:
            plain = {}
            for name, declared in names.items():
                value = looked_up(self._values, name)
                if value is not None:
                    plain[name] = for_cel(declared, value, frozenset())
            self._plain[environment] = plain
        if not labels:
            return plain
        labelled = {
            name: for_cel(names[name], plain[name], labels)
            for name in environment.labelled_names
            if name in plain
        }
        return {**plain, **labelled}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression; `labels` are those that it names, "" where an alert lacks them.

    `cel_text` is what CEL compiled, in `environment`; `expects` the type that its place needs.
    """

    text: str
    type: ValueType
    labels: frozenset[str]
    cel_text: str
    environment: "Environment"
    expects: ValueType | None
    _program: object
    _compared: Equalities = ()

    def calls(self, names: Collection[str]) -> bool:
        """Whether it calls one of these functions."""
        return any(called(read_tokens(self.text), name) for name in names)

    def evaluate(self, values: "Mapping[str, object] | Bindings") -> object:
        """Its value in plain Python: str, int, float, bool, timedelta, datetime, list, dict, None.

        Raises ExpressionFailedError where there is none: a name without a value, a missing key,
        a division by zero, a budget spent, or a value that isn't of the expected type.
        """
        bindings = values if isinstance(values, Bindings) else Bindings(values)
        if self._compared and (holds := bindings.all_hold(self._compared)) is not None:
            return holds
        try:
            activation = bindings.activation(self.environment, self.labels)
            found = self._program.eval(activation)  # type: ignore[attr-defined]
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise self._failed(str(error)) from error
        if self.expects is ValueType.BOOL and self.type.kind == "bool":
            value: object = found.plain_value()
            # An error is no bool, and asking for the type takes half as long as evaluating.
            if value is True or value is False:
                return value
        if found.type() == _ERROR:
            raise self._failed(str(found.value()))
        value = _in_python(found)
        if self.expects is not None:
            return self._checked(value, self.expects)
        return value

    def _failed(self, message: str) -> ExpressionFailedError:
        return ExpressionFailedError(f"{self.text!r} failed: {runtime_reason(message)}")

    def _checked(self, value: object, expects: ValueType) -> object:
        wanted = _PYTHON_TYPES.get(expects.kind, object)
        odd = isinstance(value, bool) and expects.kind not in ("bool", "dyn")
        if odd or not isinstance(value, wanted):
            raise ExpressionFailedError(
                f"{self.text!r} gave {value!r}, where a value of type {expects} is needed"
            )
        return float(value) if expects.kind == "double" and isinstance(value, int) else value


def compile_expression(text: str, scope: Scope, expects: ValueType | None = None) -> Expression:
    """Check an expression against a scope and make it ready to run.

    `expects` is the type that its place needs; an int passes for a double, and a value whose type
    only the run can tell is checked then. Raises ExpressionError.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text)} characters, {MAX_LENGTH} are allowed; split it", 1
        )
    declared = scope.names.get(text) if scope.narrow else None
    if declared is not None and declared.kind in _PLAIN_KINDS:
        return _lone_name(text, narrowed_to(text, declared), declared, expects)
    tokens = read_tokens(text)
    if not tokens:
        raise ExpressionError("the expression is empty", 1)
    if scope.secrets and is_secret(text, tokens, scope):
        return _lone_name(text, narrowed_to(text, ValueType.SECRET), ValueType.SECRET, expects)
    if scope.narrow and (enough := narrowed(tokens, scope)) is not None:
        try:
            return _compiled_once(text, enough, expects)
        except ExpressionError:
            pass  # It is told with all the names that there are.
    return _compiled(text, tokens, scope, expects)


def _lone_name(
    name: str, scope: Scope, declared: ValueType, expects: ValueType | None
) -> Expression:
    """Most of a playbook's expressions are one name, whose type needs no compiler to be known."""
    found = ValueType(declared.kind, secret=declared.secret)
    check_type(found, expects)
    environment = _environment(scope)
    program = _CompiledLater(environment, name)
    return Expression(name, found, frozenset(), name, environment, expects, program)


class _CompiledLater:
    """The program of an expression that is surely valid, compiled when it is evaluated first."""

    def __init__(self, environment: "Environment", cel_text: str) -> None:
        self._environment = environment
        self._cel_text = cel_text

    def eval(self, activation: object) -> "cel.Value":
        """As CEL's own programs do."""
        return _program(self._environment, self._cel_text).eval(activation)


@lru_cache(maxsize=4096)
def _program(environment: "Environment", cel_text: str) -> "cel.Expression":
    return environment.cel_env.compile(cel_text)


@lru_cache(maxsize=4096)
def _compiled_once(text: str, scope: Scope, expects: ValueType | None) -> Expression:
    return _compiled(text, read_tokens(text), scope, expects)


def _compiled(
    text: str, tokens: Sequence[Token], scope: Scope, expects: ValueType | None
) -> Expression:
    labels = check_words(tokens, scope)
    environment, cel_text = _environment(scope), with_own_duration(text, tokens)
    try:
        program = environment.cel_env.compile(cel_text)
    except RuntimeError as error:
        raise compile_error(str(error), text, tokens, scope) from error
    except (TypeError, UnicodeError) as error:
        raise ExpressionError("the expression isn't valid Unicode text", 1) from error
    _check_patterns(tokens, environment)
    found = value_type(str(program.return_type()))
    check_type(found, expects)
    if found is None:
        raise ExpressionError("this gives bytes, a type or an unsigned number; none is a value", 1)
    compared = equalities(tokens, scope)
    return Expression(text, found, labels, cel_text, environment, expects, program, compared)


def _in_python(found: "cel.Value") -> object:
    """A value in plain Python, in which no null was asked for.

    The library takes a reference of None away with each null that it hands out, and before Python
    3.12 the process ends when none is left: whoever sends us nulls could end it.
    """
    if found.type() == _NULL:
        return None
    value = found.value()
    if isinstance(value, dict):
        return {key: _in_python(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_in_python(each) for each in value]
    plain: object = found.plain_value()
    return plain


def _check_patterns(tokens: Sequence[Token], environment: "Environment") -> None:
    """Refuse a literal pattern that would fail in every run."""
    for index, token in enumerate(tokens):
        call = [text_at(tokens, index + step) for step in (1, 3)]
        if token.text == "matches" and call == ["(", ")"] and tokens[index + 2].kind == "text":
            pattern = tokens[index + 2]
            found = environment.cel_env.compile(f"''.matches({pattern.text})").eval()
            if found.type() == _ERROR:
                raise ExpressionError(runtime_reason(str(found.value())), pattern.start + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Environment:
    """CEL's compiler and runtime for one scope, made when they are used first."""

    scope: Scope
    labelled_names: tuple[str, ...]

    @property
    def cel_env(self) -> "cel.Env":
        """The compiler, and what makes activations for its programs."""
        return _cel_env(self.scope)

    def implementations(self, functions: Mapping[str, Callable[..., object]]) -> list[object]:
        """The scope's functions, as far as they are bound, in CEL's form."""
        return [
            cel.Function(
                name,
                [_cel_type(each) for each in declared.parameters],
                False,  # noqa: FBT003 -- the library takes it by position
                functions[name],
                cel.Type.DYN,
            )
            for name, declared in self.scope.functions.items()
            if name in functions
        ]


@lru_cache(maxsize=1)
def _config() -> "cel.EnvConfig":
    return cel.NewEnvConfigFromYaml(environment_config())


@lru_cache(maxsize=4096)
def _environment(scope: Scope) -> Environment:
    labelled = tuple(name for name, declared in scope.names.items() if declared.has_labels)
    return Environment(scope, labelled)


@lru_cache(maxsize=512)
def _cel_env(scope: Scope) -> "cel.Env":
    late = cel.CelExtension(
        "quell",
        [
            cel.FunctionDecl(
                name,
                [
                    cel.Overload(
                        f"quell_{name}",
                        _cel_type(declared.returns),
                        [_cel_type(each) for each in declared.parameters],
                    )
                ],
            )
            for name, declared in scope.functions.items()
        ],
    )
    return cel.NewEnv(
        config=_config(),
        variables={name: _cel_type(declared) for name, declared in scope.names.items()},
        functions=_own_functions(),
        extensions=[ext_strings.ExtStrings(), late],
    )


@lru_cache(maxsize=1)
def _own_functions() -> list[object]:
    kinds = cel.Type
    number_pairs = [
        (kinds.INT, kinds.INT, kinds.INT),
        (kinds.DOUBLE, kinds.DOUBLE, kinds.DOUBLE),
        (kinds.DOUBLE, kinds.INT, kinds.DOUBLE),
        (kinds.DOUBLE, kinds.DOUBLE, kinds.INT),
        (kinds.DURATION, kinds.DURATION, kinds.DURATION),
        (kinds.TIMESTAMP, kinds.TIMESTAMP, kinds.TIMESTAMP),
    ]
    declared: list[object] = []
    for name, implementation in extremes().items():
        overloads = [
            cel.Overload(f"{name}_{index}", gives, [left, right], impl=implementation)
            for index, (gives, left, right) in enumerate(number_pairs)
        ]
        overloads.append(cel.Overload(f"{name}_list", kinds.DYN, [kinds.LIST], impl=implementation))
        declared.append(cel.FunctionDecl(name, overloads))
    parse = cel.Overload(OWN_DURATION, kinds.DURATION, [kinds.STRING], impl=parse_duration)
    declared.append(cel.FunctionDecl(OWN_DURATION, [parse]))
    return declared


def _cel_type(declared: ValueType) -> "cel.Type":
    match declared.kind:
        case "list":
            return cel.Type.List(_cel_type(declared.element or ValueType.DYN))
        case "map":
            return cel.Type.Map(cel.Type.STRING, _cel_type(declared.element or ValueType.DYN))
        case "object":
            return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        case kind:
            return _CEL_TYPES[kind]
