"""A playbook's document checked against the actions, commands and inventory, and compiled."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from engine.core.argv_checks import check_argv, check_used
from engine.core.blast_radius import UNAVAILABLE
from engine.core.calls import check_approvers
from engine.core.compiling import (
    compile_argument,
    compile_condition,
    compile_duration,
    compile_text,
)
from engine.core.documents import (
    CommandDocument,
    Guards,
    Parameter,
    PlaybookDocument,
    StepDocument,
)
from engine.core.durations import format_duration
from engine.core.expected_alerts import check_expected
from engine.core.expressions import Scope, ValueType
from engine.core.guards import LONGEST_LOOK_BACK
from engine.core.host_commands import DONE_SCOPE, command_scope
from engine.core.inventory import Inventory
from engine.core.loops import looped
from engine.core.mistakes import Mistakes
from engine.core.outputs import compile_outputs
from engine.core.parameters import TypedParameter, spec_problem
from engine.core.playbook import ApprovalPolicy, Playbook, Revert, Step
from engine.core.questions import check_asked
from engine.core.scopes import ALERT, playbook_scope
from engine.core.severity import Mode
from engine.core.starts import Start, StartContext, compile_start
from engine.core.steps import PlaybookContext, StepCompiler
from engine.core.templates import Template
from engine.core.temporary import check_temporary, is_temporary

# The probe that a blast radius asks.
QUERY_ACTION = "prometheus.query"


# A remedy that stays longer is none for the moment.
LONGEST_REVERT = timedelta(days=7)


def compile_parameters(
    document: PlaybookDocument, inventory: Inventory, mistakes: Mistakes
) -> Mapping[str, TypedParameter]:
    """The typed parameters; rules are checked against them even when steps have mistakes."""
    found = {}
    for name, spec in document.parameters.items():
        found[name] = _parameter(spec, inventory, mistakes.at("parameters", name))
    return found


def compile_playbook(
    document: PlaybookDocument, text_hash: str, context: PlaybookContext, mistakes: Mistakes
) -> Playbook | None:
    """The playbook, or None when it has mistakes, which are then in `mistakes`."""
    before = len(mistakes.found)
    parameters = compile_parameters(document, context.inventory, mistakes)
    scope = replace(playbook_scope(document.parameters), loops=dict(looped(document.steps)))
    group = _guards(document.guards, scope, mistakes.at("guards"))
    healthy = _healthy(document.guards, scope, context.inventory, mistakes.at("guards"))
    approval = _approval(document, context.roles, mistakes.at("approval"))
    for part in ("steps", "verify"):
        if not getattr(document, part):
            mistakes.at(part).add(f"`{part}` is empty; a playbook does something and proves it")
    compiler = StepCompiler(
        context, scope, compile_duration(document.timeout, mistakes.at("timeout"))
    )
    deadline = compile_duration(document.deadline, mistakes.at("deadline"))
    investigate = compiler.compile_part(
        "investigate", document.investigate, mistakes.at("investigate")
    )
    guard_reads = _guard_reads(document.guards, compiler, mistakes.at("guards"))
    steps = compiler.compile_part("steps", document.steps, mistakes.at("steps"))
    verify = compiler.compile_part("verify", document.verify, mistakes.at("verify"))
    on_cancel = compiler.compile_part("on_cancel", document.on_cancel, mistakes.at("on_cancel"))
    on_failure = _follower(document, scope, context, mistakes.at("on_failure"))
    revert = _revert(document, steps, scope, mistakes.at("revert"))
    check_temporary(document, steps, mistakes)
    results = compiler.results(verify)
    gives = compile_outputs(document.outputs, results, compiler.conditions, mistakes.at("outputs"))
    if len(mistakes.found) > before or not compiler.is_complete:
        return None
    playbook = Playbook(
        id=document.id,
        description=document.description,
        text_hash=text_hash,
        max_mode=Mode(document.max_mode),
        parameters=parameters,
        guards=document.guards,
        group=group,
        healthy=healthy,
        guard_reads=guard_reads,
        approval=approval,
        deadline=deadline,
        investigate=investigate,
        steps=steps,
        verify=verify,
        on_cancel=on_cancel,
        on_failure=on_failure,
        revert=revert,
        is_temporary=is_temporary(document),
        keep=document.keep or "",
        outputs=gives,
    )
    check_approvers(playbook.called, playbook.approval.ask, mistakes)
    return playbook if len(mistakes.found) == before else None


def check_commands(commands: Mapping[str, CommandDocument], mistakes: Mistakes) -> None:
    """Check each command: its arguments, the templates of its argv, its probe."""
    for name, command in commands.items():
        here = mistakes.at("commands", name)
        for argument, spec in command.args.items():
            problem = spec_problem(spec)
            if problem:
                here.at("args", argument).add(problem)
        scope = command_scope(command.args)
        before = len(mistakes.found)
        _check_argv(command.argv, scope, here.at("argv"))
        if len(mistakes.found) == before:
            # A name that is misspelt there would be told twice.
            check_used(command, here)
        if command.effect == "read" and command.repeat != "harmless":
            here.at("repeat").add("a read can always be repeated: write `repeat: harmless`")
        if command.repeat == "probe" and command.probe is None:
            here.at("repeat").add("`repeat: probe` needs a `probe` with `argv` and `done`")
        if command.probe is None:
            continue
        if command.repeat != "probe":
            here.at("probe").add("a `probe` is used only with `repeat: probe`")
        _check_argv(command.probe.argv, scope, here.at("probe", "argv"))
        compile_condition(command.probe.done, DONE_SCOPE, here.at("probe", "done"))


def _check_argv(argv: tuple[str, ...], scope: Scope, mistakes: Mistakes) -> None:
    elements = [
        compile_text(element, scope, ValueType.DYN, mistakes.at(index))
        for index, element in enumerate(argv)
    ]
    check_argv(argv, elements, mistakes)
    for index, compiled in enumerate(elements):
        if not isinstance(compiled, Template):
            continue
        if index == 0:
            mistakes.at(0).add("the program itself is a constant, never an expression")
        elif compiled.type.kind not in ("string", "int", "double"):
            mistakes.at(index).add(f"this gives {compiled.type}, and a command takes text")


def _parameter(spec: Parameter, inventory: Inventory, mistakes: Mistakes) -> TypedParameter:
    problem = spec_problem(spec)
    if problem:
        mistakes.add(problem)
    if spec.type == "secret" and not problem:
        for index, name in enumerate(spec.values):
            compile_argument(name, spec, ALERT, inventory, mistakes.at("values", index))
    if problem or spec.default is None:
        return TypedParameter(spec)
    default = compile_argument(spec.default, spec, ALERT, inventory, mistakes.at("default"))
    return TypedParameter(spec, default)


def _guards(guards: Guards, scope: Scope, mistakes: Mistakes) -> Template | str | None:
    """Check the guards; the group of the blast radius, where there is one."""
    if guards.cooldown is not None:
        _look_back(guards.cooldown.for_, mistakes.at("cooldown", "for"))
    if guards.budget is not None:
        _look_back(guards.budget.within, mistakes.at("budget", "within"))
    if guards.recurrence is not None:
        _look_back(guards.recurrence.within, mistakes.at("recurrence", "within"))
    if guards.others_at_work is not None:
        here = mistakes.at("others_at_work", "within")
        _look_back(guards.others_at_work.within, here, may_be_none=True)
    if guards.expected_alerts is not None:
        check_expected(guards.expected_alerts, mistakes.at("expected_alerts"))
    if guards.blast_radius is None:
        return None
    here = mistakes.at("blast_radius")
    share = guards.blast_radius.max_unavailable
    if isinstance(share, str) and not share.removesuffix("%").isdecimal():
        here.at("max_unavailable").add(f"{share!r} isn't a number or a share like '10%'")
    return compile_text(guards.blast_radius.group, scope, ValueType.STRING, here.at("group"))


def _follower(
    document: PlaybookDocument, scope: Scope, context: PlaybookContext, mistakes: Mistakes
) -> Start | None:
    follower = document.on_failure
    if follower is None:
        return None
    start = StartContext(context.playbooks, context.inventory, scope)
    return compile_start(follower.playbook, follower.with_, start, mistakes)


def _healthy(
    guards: Guards, scope: Scope, inventory: Inventory, mistakes: Mistakes
) -> tuple[Template | str, ...]:
    """What is required; a name that is written out has to be the inventory's."""
    found: list[Template | str] = []
    names = {*inventory.services, *inventory.targets}
    for index, text in enumerate(guards.requires.healthy if guards.requires else ()):
        here = mistakes.at("requires", "healthy", index)
        compiled = compile_text(text, scope, ValueType.STRING, here)
        if isinstance(compiled, str) and compiled not in names:
            here.unknown("service or target", compiled, names)
        if compiled is not None:
            found.append(compiled)
    return tuple(found)


def _guard_reads(guards: Guards, compiler: StepCompiler, mistakes: Mistakes) -> tuple[Step, ...]:
    """What the guards have to read outside of quell, each as a step."""
    found: list[Step] = []
    asked = guards.blast_radius.unavailable if guards.blast_radius else None
    if asked is not None:
        query: dict[str, object] = {"id": UNAVAILABLE, "uses": QUERY_ACTION}
        query |= {"with": {"query": asked.query}, "connection": asked.connection}
        here = mistakes.at("blast_radius", "unavailable")
        found += compiler.compile_step("guards", StepDocument.model_validate(query), here)
    if (requires := guards.requires) is not None:
        here = mistakes.at("requires")
        if requires.check is not None:
            found += compiler.compile_step("guards", requires.check, here.at("check"))
            if requires.check.until is None:
                here.at("check").add("it needs `until`: what has to hold before a change")
        elif not requires.healthy:
            here.add("it requires nothing: name what has to be `healthy`, or a `check`")
    return tuple(found)


def _revert(
    document: PlaybookDocument, steps: Sequence[Step], scope: Scope, mistakes: Mistakes
) -> Revert | None:
    wanted = document.revert
    if wanted is None:
        return None
    if not any(step.rollback or step.call for step in steps):
        mistakes.add("`revert` does what `rollback` says, and no step has one")
    after = compile_duration(wanted.after, mistakes.at("after"))
    if after > LONGEST_REVERT:
        mistakes.at("after").add(f"at most {format_duration(LONGEST_REVERT)}; then it is for good")
    if wanted.when is None:
        return Revert(after, None)
    return Revert(after, compile_condition(wanted.when, scope, mistakes.at("when")))


def _look_back(text: str, mistakes: Mistakes, *, may_be_none: bool = False) -> None:
    if compile_duration(text, mistakes, may_be_none=may_be_none) > LONGEST_LOOK_BACK:
        longest = format_duration(LONGEST_LOOK_BACK)
        mistakes.add(f"what runs did is remembered for {longest}: {text!r} is longer")


def _approval(
    document: PlaybookDocument, roles: frozenset[str], mistakes: Mistakes
) -> ApprovalPolicy:
    approval = document.approval
    check_asked(approval.from_, roles, mistakes.at("from"))
    if not approval.from_:
        mistakes.at("from").add("somebody must be asked; write it like [role:oncall]")
    return ApprovalPolicy(
        ask=approval.from_,
        quorum=approval.quorum,
        expires=compile_duration(approval.expires, mistakes.at("expires")),
        on_expiry=approval.on_expiry,
        always=approval.always,
    )
