"""Steps of a playbook checked and compiled, part by part: each part allows its own words."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from engine.core.actions import Declaration, Effect, Input
from engine.core.calls import Library, NoPlaybooks, compile_call
from engine.core.compiling import (
    compile_argument,
    compile_condition,
    compile_duration,
    compile_value,
)
from engine.core.documents import CommandDocument, Foreach, StepDocument
from engine.core.expressions import Expression, Scope, ValueType
from engine.core.findings import closest
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.loops import compile_loop
from engine.core.mistakes import Mistakes
from engine.core.outputs import types_of
from engine.core.plan import OUTPUTS, PlanPhase
from engine.core.playbook import Step
from engine.core.questions import GIVES, compile_ask
from engine.core.ran_checks import check_ran
from engine.core.rendering import Renderable
from engine.core.scopes import OUTCOME, condition_scope
from engine.core.severity import Mode
from engine.core.starts import Playbooks
from engine.core.step_kinds import check_words, kind_of
from engine.core.templates import Template

READ_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class PlaybookContext:
    """What playbooks are checked against. Empty `roles` means that roles aren't known here.

    `playbooks` are those that one of them may start.
    """

    actions: Mapping[str, Declaration]
    commands: Mapping[str, CommandDocument]
    inventory: Inventory
    roles: frozenset[str] = frozenset()
    playbooks: Playbooks = field(default_factory=dict)
    library: Library = field(default_factory=NoPlaybooks)


@dataclass(slots=True)
class StepCompiler:
    """Compiles the steps of one playbook in the order of its parts, and knows what came before."""

    context: PlaybookContext
    base: Scope
    timeout: timedelta
    inputs: Scope = field(init=False)
    outcomes: Scope = field(init=False)
    _ids: set[str] = field(default_factory=set)
    conditions: dict[str, str] = field(default_factory=dict)
    _in_loop: bool = False
    _gate: str = ""
    is_complete: bool = True

    def __post_init__(self) -> None:
        self.inputs = self.base
        self.outcomes = self.base

    def compile_part(
        self, phase: PlanPhase, documents: Sequence[StepDocument], mistakes: Mistakes
    ) -> tuple[Step, ...]:
        """The steps of one part; the order of calls is that of a run."""
        return tuple(self._compiled(phase, documents, mistakes))

    def _compiled(
        self, phase: PlanPhase, documents: Sequence[StepDocument], mistakes: Mistakes
    ) -> Iterator[Step]:
        for index, document in enumerate(documents):
            yield from self.compile_step(phase, document, mistakes.at(index))

    def compile_step(
        self, phase: PlanPhase, document: StepDocument, mistakes: Mistakes
    ) -> Iterator[Step]:
        """The step of a document, a loop's all; none where it has mistakes that leave none."""
        if document.id in self._ids:
            mistakes.at("id").add(f"step {document.id!r} is there already; ids are unique")
        self._ids.add(document.id)
        if document.id == OUTPUTS:
            mistakes.at("id").add("`outputs` are what a playbook gives; choose another id")
        check_words(phase, document, mistakes)
        kind = kind_of(document, mistakes)
        if kind == "uses":
            yield from self._call(phase, document, mistakes)
        elif kind == "wait":
            yield self._wait(phase, document, mistakes)
        elif kind == "call":
            yield from self._called(document, mistakes)
        elif document.ask is not None:
            asking = compile_ask(document.ask, self.inputs, self.context.roles, mistakes.at("ask"))
            condition = self._condition(document, mistakes)
            yield replace(_without_action(phase, document, condition), ask=asking)
            self._remember(phase, document, GIVES)
            if document.if_ is not None:
                self.conditions[document.id] = document.if_
        elif document.foreach is not None:
            yield from self._loop(document, document.foreach, mistakes)

    def results(self, verify: Sequence[Step]) -> Scope:
        """What the end of a run may name: every step, those of `verify` too."""
        proofs = {
            f"steps.{step.id}.{name}": kind
            for step in verify
            if step.uses  # else it is a mistake that is told
            for name, kind in self.context.actions[step.uses].outputs.items()
        }
        return self.outcomes.merged(Scope(proofs))

    def _called(self, document: StepDocument, mistakes: Mistakes) -> Iterator[Step]:
        context = self.context
        call = compile_call(document, context.library, self.inputs, context.inventory, mistakes)
        condition = self._condition(document, mistakes)
        if call is None:
            # What is wrong with it is told in its own file.
            self.is_complete = False
            return
        called = (call.playbook, *call.playbook.called.values())
        if self._in_loop and any(step.loop for each in called for step in each.steps):
            mistakes.at("call").add("it has a foreach, which can't stand inside of another one")
        if document.if_ is not None:
            self._remember("steps", document, {})
            self.conditions[document.id] = document.if_
        gives = types_of(call.playbook.outputs)
        seen = {f"steps.{document.id}.{name}": kind for name, kind in gives.items()}
        self.outcomes = self.outcomes.merged(Scope(seen))
        yield replace(_without_action("steps", document, condition), call=call)

    def _loop(self, document: StepDocument, foreach: Foreach, mistakes: Mistakes) -> Iterator[Step]:
        """The steps of a loop, which see its item and each other; nothing behind it sees them."""
        if self._in_loop:
            mistakes.at("foreach").add("a foreach can't stand inside of another one")
            return
        loop, element = compile_loop(document.id, foreach, self.inputs, mistakes.at("foreach"))
        self._condition(document, mistakes)
        inputs, outcomes = self.inputs, self.outcomes
        self.inputs = inputs.with_(loop.name, element)
        self.outcomes = outcomes.with_(loop.name, element)
        self._in_loop, self._gate = True, document.if_ or ""
        for step in self.compile_part("steps", document.steps, mistakes.at("steps")):
            yield replace(step, loop=loop)
        self._in_loop, self._gate = False, ""
        self.inputs, self.outcomes = inputs, outcomes

    def _call(self, phase: PlanPhase, document: StepDocument, mistakes: Mistakes) -> Iterator[Step]:
        action = self.context.actions.get(document.uses or "")
        if action is None:
            mistakes.at("uses").unknown("action", document.uses or "", self.context.actions)
            return
        yield self._step(phase, document, action, mistakes)
        self._remember(phase, document, action.outputs)
        if document.if_ is not None:
            self.conditions[document.id] = document.if_

    def _wait(self, phase: PlanPhase, document: StepDocument, mistakes: Mistakes) -> Step:
        step = replace(
            _without_action(phase, document, self._condition(document, mistakes)),
            wait=_span(document.wait, timedelta(0), mistakes.at("wait")),
        )
        if self._in_loop and document.if_ is not None:
            mistakes.at("if").add("in a foreach time passes for a whole batch: no `if` here")
        if not self._in_loop:
            self._remember(phase, document, {})
        return step

    def _condition(self, document: StepDocument, mistakes: Mistakes) -> Expression | None:
        """Its own `if`, and that of the loop around it."""
        here, scope = mistakes.at("if"), condition_scope(self.outcomes)
        own = compile_condition(document.if_, scope, here) if document.if_ is not None else None
        if own is not None:
            check_ran(own, self.conditions, here)
        if not self._gate:
            return own
        both = f"({self._gate}) && ({own.text})" if own is not None else self._gate
        return compile_condition(both, scope, Mistakes())

    def _remember(
        self, phase: PlanPhase, document: StepDocument, gives: Mapping[str, ValueType]
    ) -> None:
        """Later steps see what this one gave: in `if` always, in inputs what investigate gave."""
        if phase in ("verify", "on_cancel", "guards"):
            return
        outputs = {f"steps.{document.id}.{name}": kind for name, kind in gives.items()}
        if phase == "investigate":
            self.inputs = self.inputs.merged(Scope(outputs))
        outcome = {f"steps.{document.id}.{OUTCOME}": ValueType.FORMATTED}
        self.outcomes = self.outcomes.merged(Scope({**outputs, **outcome}))

    def _step(
        self, phase: PlanPhase, document: StepDocument, action: Declaration, mistakes: Mistakes
    ) -> Step:
        command = self._command(document, action, mistakes)
        effects = action.effects if command is None else frozenset({Effect(command.effect)})
        _check_effects(phase, document, action, effects, mistakes)
        inputs = self._inputs(document, action, command, mistakes.at("with"))
        self._check_connection(document, action, mistakes)
        condition = self._condition(document, mistakes)
        until = None
        if document.until is not None:
            result = {f"result.{name}": kind for name, kind in action.outputs.items()}
            scope = self.outcomes.merged(Scope(result))
            until = compile_condition(document.until, scope, mistakes.at("until"))
            if until is not None:
                check_ran(until, self.conditions, mistakes.at("until"))
        rollback: tuple[Step, ...] = ()
        if isinstance(document.rollback, tuple):
            # What undoes a step may ask how it ended; steps behind it never see the undoing.
            before = self.outcomes
            self._remember(phase, document, action.outputs)
            rollback = self.compile_part("rollback", document.rollback, mistakes.at("rollback"))
            self.outcomes = before
        default = self.timeout
        if phase in ("investigate", "guards", "verify"):
            default = min(self.timeout, READ_TIMEOUT)
        retry = document.retry
        return Step(
            phase=phase,
            id=document.id,
            description=document.description,
            uses=action.name,
            inputs=inputs,
            effects=effects,
            connection=document.connection or "",
            timeout=_span(document.timeout, default, mistakes.at("timeout")),
            action_mode=Mode(action.max_mode),
            condition=condition,
            retry_attempts=retry.attempts if retry else 1,
            retry_wait=_span(
                retry.wait if retry else None, timedelta(seconds=5), mistakes.at("retry", "wait")
            ),
            required=document.required,
            until=until,
            within=_span(document.within, timedelta(0), mistakes.at("within")),
            every=_span(document.every, timedelta(seconds=5), mistakes.at("every")),
            stable_for=_span(document.stable_for, timedelta(0), mistakes.at("stable_for")),
            rollback=rollback,
        )

    def _command(
        self, document: StepDocument, action: Declaration, mistakes: Mistakes
    ) -> CommandDocument | None:
        """The command that a step names by a constant, so that its arguments can be checked."""
        name = _constant_of(document, action, "command")
        if name is None:
            return None
        key, value = name
        command = self.context.commands.get(value)
        if command is None:
            mistakes.at("with", key).unknown("command", value, self.context.commands)
        elif Effect(command.effect) not in action.effects:
            effects = " or ".join(sorted(effect.value for effect in action.effects))
            mistakes.at("uses").add(
                f"{action.name} does {effects}, and command {value!r} is a {command.effect}"
            )
        return command

    def _inputs(
        self,
        document: StepDocument,
        action: Declaration,
        command: CommandDocument | None,
        mistakes: Mistakes,
    ) -> Mapping[str, Renderable]:
        misspelt = _meant(document.with_, action.inputs)
        for name, declared in action.inputs.items():
            if declared.required and name not in document.with_ and name not in misspelt:
                mistakes.add(f"{action.name} needs {name!r} in `with`")
        target = _constant_of(document, action, "target")
        if target is not None and not self.context.inventory.target_id(target[1]):
            known = self.context.inventory.targets
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
        compiled = compile_value(value, self.inputs, declared.type, mistakes)
        if declared.form is None or compiled is None or isinstance(compiled, Template):
            return compiled
        return compile_argument(value, declared.form, self.inputs, self.context.inventory, mistakes)

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
            spec, inventory = command.args[name], self.context.inventory
            found[name] = compile_argument(value, spec, self.inputs, inventory, here)
        return found

    def _check_connection(
        self, document: StepDocument, action: Declaration, mistakes: Mistakes
    ) -> None:
        kind, named = action.connection_kind, document.connection
        known = self.context.inventory.connections
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


def _without_action(phase: PlanPhase, document: StepDocument, condition: Expression | None) -> Step:
    return Step(
        phase=phase,
        id=document.id,
        description=document.description,
        uses="",
        inputs={},
        effects=frozenset({Effect.READ}),
        connection="",
        timeout=timedelta(0),
        action_mode=Mode.AUTO,
        condition=condition,
    )


def _constant_of(document: StepDocument, action: Declaration, names: str) -> tuple[str, str] | None:
    """The input that names such a thing, and its value where that is a constant."""
    for key, declared in action.inputs.items():
        value = document.with_.get(key)
        if declared.names == names and isinstance(value, str) and "${{" not in value:
            return key, value
    return None


def _check_effects(
    phase: PlanPhase,
    document: StepDocument,
    action: Declaration,
    effects: frozenset[Effect],
    mistakes: Mistakes,
) -> None:
    reads_only = phase in ("investigate", "guards", "verify")
    if reads_only and Effect.READ not in effects:
        mistakes.at("uses").add(f"`{phase}` only reads, and this step changes something")
    if phase == "steps" and effects != {Effect.READ} and document.rollback is None:
        mistakes.add(
            f"step {document.id!r} uses {action.name}, which changes something: "
            "write `rollback: none`, or the steps that undo it"
        )
    if document.rollback == ():
        mistakes.at("rollback").add("there is no step; write `rollback: none`")


def _span(text: str | None, default: timedelta, mistakes: Mistakes) -> timedelta:
    return default if text is None else compile_duration(text, mistakes)
