"""Which secrets a step of a plan is given, known by the types of its expressions, not by texts."""

import json
from collections.abc import Iterator, Mapping, Sequence

from engine.core.expressions import Bindings, Expression
from engine.core.json_value import Json
from engine.core.rendering import Renderable
from engine.core.secret_references import OPENING, name_in
from engine.core.templates import Template
from engine.errors import PermanentError


def secrets_of(
    inputs: Mapping[str, Renderable], rendered: Mapping[str, Json], bindings: Bindings
) -> tuple[str, ...]:
    """The names of the secrets that an action's inputs refer to, sorted.

    `rendered` is what the inputs come to. Raises PermanentError where that holds more references
    than the playbook wrote: an alert, an output or a person's words brought one along.
    """
    written = [str(each.evaluate(bindings)) for each in _secrets(inputs)]
    # JSON writes none of these characters otherwise, and puts a quote between any two texts.
    if json.dumps(rendered, default=str).count(OPENING) != len(written):
        raise PermanentError(
            f"it holds what looks like a reference to a secret ({OPENING}…), and that comes from "
            "an alert, an output or a parameter that is a text: only a parameter of type secret "
            "chooses one"
        )
    return tuple(sorted({name_in(each) for each in written}))


def _secrets(value: Renderable) -> Iterator[Expression]:
    if isinstance(value, Template):
        yield from (each for each in value.expressions if each.type.secret)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _secrets(each)
