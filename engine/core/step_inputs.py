"""What a step gives its action: inputs, a command's arguments, and the connection."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from engine.core.actions import Declaration, Effect, Input
from engine.core.compiling import compile_argument, compile_text, compile_value
from engine.core.documents import CommandDocument, StepDocument
from engine.core.expressions import Scope, ValueType
from engine.core.findings import closest
from engine.core.host_commands import unknown_command
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.mistakes import Mistakes
from engine.core.rendering import Renderable
from engine.core.templates import Template


@dataclass(frozen=True, slots=True)
class StepInputs:
    """Checks and compiles them; `scope` is what they may name."""

    commands: Mapping[str, CommandDocument]
    inventory: Inventory
    scope: Scope

    def command(
        self, document: StepDocument, action: Declaration, mistakes: Mistakes
    ) -> CommandDocument | None:
        """The command that a step names by a constant, so that its arguments can be checked."""
        name = _constant_of(document, action, "command")
        if name is None:
            return None
        key, value = name
        command = self.commands.get(value)
        if command is None:
            unknown_command(value, self.commands, mistakes.at("with", key))
        elif Effect(command.effect) not in action.effects:
            effects = " or ".join(sorted(effect.value for effect in action.effects))
            mistakes.at("uses").add(
                f"{action.name} does {effects}, and command {value!r} is a {command.effect}"
            )
        return command

    def compiled(
        self,
        document: StepDocument,
        action: Declaration,
        command: CommandDocument | None,
        mistakes: Mistakes,
    ) -> Mapping[str, Renderable]:
        """Its inputs by name; `command` is the one that it names, None where that is open."""
        misspelt = _meant(document.with_, action.inputs)
        for name, declared in action.inputs.items():
            if declared.required and name not in document.with_ and name not in misspelt:
                mistakes.add(f"{action.name} needs {name!r} in `with`")
        target = _constant_of(document, action, "target")
        if target is not None and not self.inventory.target_id(target[1]):
            known = self.inventory.targets
            mistakes.at(target[0]).unknown("target", target[1], known)
        inputs: dict[str, Renderable] = {}
        arguments = False
        for name, value in document.with_.items():
            here = mistakes.at(name)
            if name not in action.inputs:
                here.unknown(f"input of {action.name}", name, action.inputs)
                continue
            declared = action.inputs[name]
            if declared.names == "arguments" and command is not None and isinstance(value, Mapping):
                arguments = True
                inputs[name] = self._arguments(value, command, here)
            else:
                inputs[name] = self._value(value, declared, here)
        takes_arguments = any(each.names == "arguments" for each in action.inputs.values())
        if command is not None and takes_arguments and not arguments:
            self._arguments({}, command, mistakes)
        return inputs

    def _value(self, value: Json, declared: Input, mistakes: Mistakes) -> Renderable:
        scope = self.scope.taking_secrets() if declared.takes_secrets else self.scope
        compiled = compile_value(value, scope, declared.type, mistakes)
        if declared.form is None or compiled is None or isinstance(compiled, Template):
            return compiled
        return compile_argument(value, declared.form, scope, self.inventory, mistakes)

    def _arguments(
        self, given: Mapping[str, Json], command: CommandDocument, mistakes: Mistakes
    ) -> Mapping[str, Renderable]:
        found = {}
        misspelt = _meant(given, command.args)
        for name in command.args:
            if name not in given and name not in misspelt:
                mistakes.add(f"the command needs argument {name!r}")
        for name, value in given.items():
            here = mistakes.at(name)
            if name not in command.args:
                here.unknown("argument of the command", name, command.args)
                continue
            spec = command.args[name]
            found[name] = compile_argument(value, spec, self.scope, self.inventory, here)
        return found

    def affected(
        self, document: StepDocument, effects: Collection[Effect], mistakes: Mistakes
    ) -> tuple[Template | str, ...] | None:
        """The targets that it says it affects; None where it says nothing of that."""
        if document.affects is None:
            return None
        if effects == {Effect.READ}:
            mistakes.add(f"step {document.id!r} only reads, which affects nothing; remove it")
        found = []
        for index, text in enumerate(document.affects):
            here = mistakes.at(index)
            compiled = compile_text(text, self.scope, ValueType.STRING, here)
            if isinstance(compiled, str) and compiled not in self.inventory.targets:
                here.unknown("target", compiled, self.inventory.targets)
            if compiled is not None:
                found.append(compiled)
        return tuple(found)

    def check_connection(
        self, document: StepDocument, action: Declaration, mistakes: Mistakes
    ) -> None:
        """Check that it says which connection it uses, where that isn't clear."""
        kind, named = action.connection_kind, document.connection
        known = self.inventory.connections
        usable = sorted(name for name, each in known.items() if each.uses == kind)
        if named is None:
            by_target = any(each.names == "target" for each in action.inputs.values())
            if len(usable) > 1 and not by_target:
                mistakes.at("uses").add(
                    f"there are several connections for {action.name}: write "
                    f"`connection:` with one of {', '.join(usable)}"
                )
            return
        here = mistakes.at("connection")
        if not kind:
            here.add(f"{action.name} works without a connection; remove it")
        elif named not in known:
            here.unknown(f"connection of kind {kind}", named, usable)
        elif named not in usable:
            here.add(f"{named!r} is a connection of kind {known[named].uses}, not {kind}")


def _meant(given: Iterable[str], known: Collection[str]) -> frozenset[str]:
    """The known words that unknown ones were meant to be: they aren't missing as well."""
    return frozenset(closest(word, known) for word in given if word not in known)


def _constant_of(document: StepDocument, action: Declaration, names: str) -> tuple[str, str] | None:
    """The input that names such a thing, and its value where that is a constant."""
    for key, declared in action.inputs.items():
        value = document.with_.get(key)
        if declared.names == names and isinstance(value, str) and "${{" not in value:
            return key, value
    return None
