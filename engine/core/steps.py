"""Steps of a playbook checked and compiled, part by part: each part allows its own words."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from engine.core.actions import Declaration, Effect
from engine.core.calls import Library, NoPlaybooks, compile_call
from engine.core.compiling import (
    compile_condition,
    compile_duration,
)
from engine.core.documents import CommandDocument, Foreach, StepDocument
from engine.core.expressions import Expression, Scope, ValueType
from engine.core.inventory import Inventory
from engine.core.loops import compile_loop
from engine.core.mistakes import Mistakes
from engine.core.outputs import types_of
from engine.core.plan import OUTPUTS, READS_ONLY, PlanPhase
from engine.core.playbook import Step
from engine.core.questions import GIVES, compile_ask
from engine.core.ran_checks import check_ran
from engine.core.scopes import OUTCOME, condition_scope
from engine.core.severity import Mode
from engine.core.starts import Playbooks
from engine.core.step_inputs import StepInputs
from engine.core.step_kinds import check_words, kind_of

READ_TIMEOUT = timedelta(seconds=30)
FOREACH = "a foreach"


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
    # What the steps stand inside of, in words, and what the `if`s around them come to together.
    _around: str = ""
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
        self,
        phase: PlanPhase,
        document: StepDocument,
        mistakes: Mistakes,
        *,
        is_branch: bool = False,
    ) -> Iterator[Step]:
        """The step of a document, or all that stand in it; none where its mistakes leave none.

        `is_branch`: it is one of a parallel.
        """
        if document.id in self._ids:
            mistakes.at("id").add(f"step {document.id!r} is there already; ids are unique")
        self._ids.add(document.id)
        if document.id == OUTPUTS:
            mistakes.at("id").add("`outputs` are what a playbook gives; choose another id")
        check_words(phase, document, mistakes)
        kind = kind_of(document, mistakes, is_branch=is_branch)
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
        elif document.foreach is not None:
            yield from self._loop(document, document.foreach, mistakes)
        elif document.parallel is not None:
            yield from self._parallel(document, document.parallel, mistakes)
        elif kind == "steps":
            with self._behind(document):
                yield from self.compile_part("steps", document.steps, mistakes.at("steps"))

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
        around = self._around
        if around and any(step.loop for each in called for step in each.steps):
            mistakes.at("call").add(f"it has a foreach, which can't stand inside of {around}")
        if document.if_ is not None:
            self._remember("steps", document, {})
        gives = types_of(call.playbook.outputs)
        seen = {f"steps.{document.id}.{name}": kind for name, kind in gives.items()}
        self.outcomes = self.outcomes.merged(Scope(seen))
        yield replace(_without_action("steps", document, condition), call=call)

    def _loop(self, document: StepDocument, foreach: Foreach, mistakes: Mistakes) -> Iterator[Step]:
        """The steps of a loop, which see its item and each other; nothing behind it sees them."""
        if self._around:
            # Guards count one batch at a time.
            mistakes.at("foreach").add(f"a foreach can't stand inside of {self._around}")
            return
        loop, element = compile_loop(document.id, foreach, self.inputs, mistakes.at("foreach"))
        self._condition(document, mistakes)
        inputs, outcomes = self.inputs, self.outcomes
        self.inputs = inputs.with_(loop.name, element).inside(loop.id)
        self.outcomes = outcomes.with_(loop.name, element).inside(loop.id)
        self._around = FOREACH
        with self._behind(document):
            for step in self.compile_part("steps", document.steps, mistakes.at("steps")):
                yield replace(step, loop=loop)
        self._around = ""
        self.inputs, self.outcomes = inputs, outcomes

    def _parallel(
        self, document: StepDocument, branches: Sequence[StepDocument], mistakes: Mistakes
    ) -> Iterator[Step]:
        """The steps of its branches, which see their own branch alone; those behind see all."""
        if self._around:
            mistakes.at("parallel").add(
                f"a parallel can't stand inside of {self._around}: `call` a playbook that has it"
            )
            return
        self._condition(document, mistakes)
        before = after = self.outcomes
        self._around = "a parallel"
        with self._behind(document):
            for index, branch in enumerate(branches):
                self.outcomes = before
                here = mistakes.at("parallel", index)
                for step in self.compile_step("steps", branch, here, is_branch=True):
                    yield replace(step, lane=(document.id, branch.id))
                after = after.merged(self.outcomes)
        self._around = ""
        self.outcomes = after

    @contextmanager
    def _behind(self, document: StepDocument) -> Iterator[None]:
        """What stands inside of a step is done only where that one's `if` holds, too."""
        gate, ids = self._gate, frozenset(self._ids)
        if document.if_ is None:
            yield
            return
        self._gate = _both(gate, document.if_)
        yield
        self._gate = gate
        for inner in self._ids - ids:
            self.conditions[inner] = _both(document.if_, self.conditions.get(inner, ""))

    def _call(self, phase: PlanPhase, document: StepDocument, mistakes: Mistakes) -> Iterator[Step]:
        action = self.context.actions.get(document.uses or "")
        if action is None:
            mistakes.at("uses").unknown("action", document.uses or "", self.context.actions)
            return
        yield self._step(phase, document, action, mistakes)
        self._remember(phase, document, action.outputs)

    def _wait(self, phase: PlanPhase, document: StepDocument, mistakes: Mistakes) -> Step:
        step = replace(
            _without_action(phase, document, self._condition(document, mistakes)),
            wait=_span(document.wait, timedelta(0), mistakes.at("wait")),
        )
        if self._around == FOREACH and document.if_ is not None:
            mistakes.at("if").add("in a foreach time passes for a whole batch: no `if` here")
        if self._around != FOREACH:
            self._remember(phase, document, {})
        return step

    def _condition(self, document: StepDocument, mistakes: Mistakes) -> Expression | None:
        """Its own `if`, and that of the loop around it."""
        if document.if_ is None and not self._gate:
            return None
        here, scope = mistakes.at("if"), condition_scope(self.outcomes)
        own = compile_condition(document.if_, scope, here) if document.if_ is not None else None
        if own is not None:
            check_ran(own, self.conditions, here)
        if not self._gate:
            return own
        both = _both(self._gate, own.text if own is not None else "")
        return compile_condition(both, scope, Mistakes())

    def _remember(
        self, phase: PlanPhase, document: StepDocument, gives: Mapping[str, ValueType]
    ) -> None:
        """Later steps see what this one gave, once they asked whether it ran if it has an `if`."""
        self._see(phase, document, gives)
        if document.if_ is not None:
            self.conditions[document.id] = document.if_

    def _see(
        self, phase: PlanPhase, document: StepDocument, gives: Mapping[str, ValueType]
    ) -> None:
        """What it gave is known: in `if` always, in inputs what investigate gave."""
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
        given = StepInputs(self.context.commands, self.context.inventory, self.inputs)
        command = given.command(document, action, mistakes)
        effects = action.effects if command is None else frozenset({Effect(command.effect)})
        _check_effects(phase, document, action, effects, mistakes)
        if (phase in READS_ONLY or document.until is not None) and Effect.READ in effects:
            # What it calls may do more with other inputs: then there is no plan.
            effects = frozenset({Effect.READ})
        inputs = given.compiled(document, action, command, mistakes.at("with"))
        given.check_connection(document, action, mistakes)
        affects = None
        if phase not in READS_ONLY:  # else the word is a mistake already
            affects = given.affected(document, effects, mistakes.at("affects"))
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
            self._see(phase, document, action.outputs)
            undoing = self.compile_part("rollback", document.rollback, mistakes.at("rollback"))
            # What is taken back affects what its doing did, unless it says otherwise.
            rollback = tuple(
                replace(each, affects=affects) if each.affects is None and each.may_change else each
                for each in undoing
            )
            self.outcomes = before
        default = self.timeout
        if phase in READS_ONLY or until is not None:
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
            affects=affects,
            rollback=rollback,
        )


def _both(one: str, other: str) -> str:
    """Two conditions as one; "" is none."""
    return f"({one}) && ({other})" if one and other else one or other


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


def _check_effects(
    phase: PlanPhase,
    document: StepDocument,
    action: Declaration,
    effects: frozenset[Effect],
    mistakes: Mistakes,
) -> None:
    looks = phase in READS_ONLY or document.until is not None
    if phase in READS_ONLY and Effect.READ not in effects:
        mistakes.at("uses").add(f"`{phase}` only reads, and this step changes something")
    elif looks and Effect.READ not in effects:
        mistakes.at("until").add(
            f"`until` looks again and again, and {action.name} changes something; "
            "let a step behind it look"
        )
    if not looks and phase == "steps" and effects != {Effect.READ} and document.rollback is None:
        mistakes.add(
            f"step {document.id!r} uses {action.name}, which changes something: "
            "write `rollback: none`, or the steps that undo it"
        )
    if document.rollback == ():
        mistakes.at("rollback").add("there is no step; write `rollback: none`")


def _span(text: str | None, default: timedelta, mistakes: Mistakes) -> timedelta:
    return default if text is None else compile_duration(text, mistakes)
