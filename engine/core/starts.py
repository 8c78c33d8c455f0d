"""What starts a playbook, a rule or another playbook's failure, and what is given to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.core.compiling import compile_argument
from engine.core.expressions import Bindings, Scope
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.mistakes import Mistakes
from engine.core.parameters import TypedParameter
from engine.core.rendering import Renderable, render
from engine.core.scopes import ALERT

# From each known id to its parameters; None where that file has mistakes, which are told there.
Playbooks: TypeAlias = Mapping[str, Mapping[str, TypedParameter] | None]


@dataclass(frozen=True, slots=True)
class Start:
    """A playbook by its id, and what is given to it."""

    playbook: str
    arguments: Mapping[str, Renderable] = field(default_factory=dict)

    def render_arguments(self, bindings: Bindings) -> Mapping[str, Json]:
        """The values, not typed yet: `check_parameters` reads them.

        Raises ExpressionFailedError.
        """
        return {name: render(value, bindings) for name, value in self.arguments.items()}


@dataclass(frozen=True, slots=True)
class StartContext:
    """What is known where the playbook is started; only a rule knows the alert."""

    playbooks: Playbooks
    inventory: Inventory
    scope: Scope


def compile_start(
    playbook: str, given: Mapping[str, Json], context: StartContext, mistakes: Mistakes
) -> Start:
    """Check what is given against the parameters; `mistakes` has `playbook` and `with` below it."""
    if playbook not in context.playbooks:
        mistakes.at("playbook").unknown("playbook", playbook, context.playbooks)
        return Start(playbook)
    parameters = context.playbooks[playbook]
    if parameters is None:
        return Start(playbook)
    found = compile_arguments((playbook, parameters), given, context, mistakes)
    return Start(playbook, found)


def compile_arguments(
    playbook: tuple[str, Mapping[str, TypedParameter]],
    given: Mapping[str, Json],
    context: StartContext,
    mistakes: Mistakes,
    word: str = "playbook",
) -> Mapping[str, Renderable]:
    """What is given to a playbook of this id and parameters; `word` is the key that names it."""
    name_of_it, parameters = playbook
    here = mistakes.at("with")
    for name, parameter in parameters.items():
        # Such a default is a template over the alert.
        no_default = context.scope is not ALERT and parameter.comes_from_alert
        if name not in given and (parameter.required or no_default):
            there = here if given else mistakes.at(word)
            there.add(f"playbook {name_of_it!r} needs {name!r} in `with`")
    found = {}
    for name, value in given.items():
        if name not in parameters:
            here.at(name).unknown(f"parameter of playbook {name_of_it!r}", name, parameters)
            continue
        found[name] = compile_argument(
            value, parameters[name].spec, context.scope, context.inventory, here.at(name)
        )
    return found
