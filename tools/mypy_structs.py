"""Has mypy find what fails only at run time: a struct given to a function of `dataclasses`.

mypy takes every class with `dataclass_transform` for a dataclass, and a `msgspec.Struct` is none.
"""

from collections.abc import Callable

from mypy.plugin import FunctionContext, Plugin
from mypy.types import CallableType, Instance, Type, get_proper_type

STRUCT = "msgspec.Struct"
# Each has its like in `msgspec.structs`.
OF_DATACLASSES = frozenset(
    f"dataclasses.{name}" for name in ("replace", "asdict", "astuple", "fields")
)


class StructPlugin(Plugin):
    """Looks at each call of these functions."""

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """What looks at a call; None for any other function."""
        return _checked if fullname in OF_DATACLASSES else None


def _checked(call: FunctionContext) -> Type:
    given = get_proper_type(call.arg_types[0][0]) if call.arg_types[0] else None
    if isinstance(given, CallableType) and given.is_type_obj():
        given = get_proper_type(given.ret_type)
    if isinstance(given, Instance) and given.type.has_base(STRUCT):
        told = f"{given.type.name} is a struct, no dataclass: use msgspec.structs"
        call.api.fail(told, call.context)
    return call.default_return_type


def plugin(version: str) -> type[Plugin]:
    """The entry point that mypy asks for."""
    return StructPlugin
