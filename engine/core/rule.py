"""A rule made ready: matchers, expressions, cases and arguments, all checked when it was loaded."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from engine.core.compiling import compile_condition
from engine.core.condition_words import compile_conditions, compile_matchers
from engine.core.conditions import AT_ONCE, Conditions
from engine.core.expressions import Bindings, Expression
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.matchers import Matcher
from engine.core.mistakes import Mistakes
from engine.core.rendering import Renderable
from engine.core.rule_documents import ModeCase, RuleDefaults, RuleDocument, SeverityCase
from engine.core.scopes import ALERT
from engine.core.severity import Mode, ModeLimit, Severity, effective_mode
from engine.core.starts import Playbooks, Start, StartContext, compile_start

T = TypeVar("T")

# The reason of a catch-all rule, by which its incidents are known in the journal.
NO_OTHER_RULE = "no other rule takes it"


@dataclass(frozen=True, slots=True)
class Case(Generic[T]):
    """What holds while an expression does."""

    when: Expression
    value: T


@dataclass(frozen=True, slots=True)
class Cases(Generic[T]):
    """The first case that holds, else `otherwise`."""

    cases: tuple[Case[T], ...]
    otherwise: T


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of an alert that it takes, but for the group; `reasons` tell why."""

    severity: Severity
    mode: ModeLimit
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to classify alerts. `playbook` is "" when it starts none.

    `conditions` say when it acts on what it takes. `continues`: the rules behind it are asked too.
    `caps` are limits of the mode from outside the rule's own words.
    """

    id: str
    description: str
    file: str
    matchers: tuple[Matcher, ...]
    when: Expression | None
    severity: Cases[Severity]
    mode: Cases[Mode]
    group_by: tuple[str, ...]
    playbook: str
    arguments: Mapping[str, Renderable]
    notify: tuple[str, ...]
    postmortem: frozenset[Severity]
    conditions: Conditions = AT_ONCE
    continues: bool = False
    caps: tuple[ModeLimit, ...] = ()
    # By the cases that decide: alerts are many, and these few.
    _verdicts: dict[tuple[str, str], Verdict] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def is_catch_all(self) -> bool:
        """Whether it takes every alert; such rules come last, whatever their file's name."""
        return not self.matchers and self.when is None and self.conditions.all_of is None

    @property
    def gravest(self) -> Severity:
        """The worst that it ever says, whichever of its cases holds."""
        return min([self.severity.otherwise, *[case.value for case in self.severity.cases]])

    def verdict(self, severity: Case[Severity] | None, mode: Case[Mode] | None) -> Verdict:
        """What it says where these cases hold; None leaves what is otherwise."""
        key = (severity.when.text if severity else "", mode.when.text if mode else "")
        known = self._verdicts.get(key)
        if known is None:
            known = self._verdicts[key] = self._decided(severity, mode)
        return known

    def _decided(self, severity: Case[Severity] | None, mode: Case[Mode] | None) -> Verdict:
        grave = severity.value if severity else self.severity.otherwise
        wanted = ModeLimit(
            mode.value if mode else self.mode.otherwise, f"rule {self.id}{_because(mode)}"
        )
        limit = effective_mode((*self.caps, wanted))
        held = [str(matcher) for matcher in self.matchers]
        if self.when is not None:
            held.append(self.when.text)
        return Verdict(
            severity=grave,
            mode=limit,
            reasons=(
                f"matched {', '.join(held)}" if held else NO_OTHER_RULE,
                f"{grave.name}{_because(severity)}",
                f"{limit.mode.value}, decided by {limit.decided_by}",
                *self.conditions.told(),
            ),
        )

    def render_arguments(self, alert: Bindings) -> Mapping[str, Json]:
        """What the rule gives to its playbook; raises ExpressionFailedError.

        The values aren't typed yet: `check_parameters` reads them.
        """
        return Start(self.playbook, self.arguments).render_arguments(alert)


def _because(held: Case[Severity] | Case[Mode] | None) -> str:
    return f" because {held.when.text}" if held else ""


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What a rule is checked against; `lacking` is what a playbook lacks that `auto` requires."""

    file: str
    defaults: RuleDefaults
    playbooks: Playbooks
    inventory: Inventory
    caps: tuple[ModeLimit, ...] = ()
    lacking: Mapping[str, Collection[str]] = field(default_factory=dict)


def compile_rule(document: RuleDocument, context: RuleContext, mistakes: Mistakes) -> Rule | None:
    """The rule, or None when it has mistakes, which are then in `mistakes`."""
    before = len(mistakes.found)
    matchers = compile_matchers(document.matchers, mistakes.at("matchers"))
    when = None
    if document.when is not None:
        when = compile_condition(document.when, ALERT, mistakes.at("when"))
    severity = _cases(document.severity, lambda name: Severity[name], mistakes.at("severity"))
    mode = _cases(document.mode, Mode, mistakes.at("mode"))
    if mode is not None:
        _check_auto(document.playbook or "", mode, context, mistakes.at("mode"))
    conditions = compile_conditions(document, mistakes)
    arguments = _arguments(document, context, mistakes)
    if len(mistakes.found) > before or severity is None or mode is None:
        return None
    defaults = context.defaults
    postmortem = defaults.postmortem if document.postmortem is None else document.postmortem
    return Rule(
        id=document.id,
        description=document.description,
        file=context.file,
        matchers=matchers,
        when=when,
        severity=severity,
        mode=mode,
        group_by=document.group_by,
        playbook=document.playbook or "",
        arguments=arguments,
        notify=defaults.notify if document.notify is None else document.notify,
        postmortem=frozenset(Severity[name] for name in postmortem),
        conditions=conditions,
        continues=document.continue_,
        caps=context.caps,
    )


def _cases(
    written: str | Sequence[SeverityCase | ModeCase],
    named: Callable[[str], T],
    mistakes: Mistakes,
) -> Cases[T] | None:
    if isinstance(written, str):
        return Cases((), named(written))
    if not written:
        mistakes.add("there is no case; write `- is: ...`")
        return None
    cases: list[Case[T]] = []
    for index, case in enumerate(written):
        here = mistakes.at(index)
        if case.when is not None:
            when = compile_condition(case.when, ALERT, here.at("when"))
            if when is not None:
                cases.append(Case(when, named(case.is_)))
        elif index < len(written) - 1:
            here.add("only the last case has no `when`: the cases below it can never hold")
    last = written[-1]
    if last.when is not None:
        here = mistakes.at(len(written) - 1, "when")
        here.add("the last case has no `when`: add `- is: ...` for all that the others leave")
        return None
    return Cases(tuple(cases), named(last.is_))


def _check_auto(playbook: str, mode: Cases[Mode], context: RuleContext, mistakes: Mistakes) -> None:
    lacking = context.lacking.get(playbook)
    if lacking and Mode.AUTO in {mode.otherwise, *(case.value for case in mode.cases)}:
        mistakes.add(
            f"`auto` needs {' and '.join(sorted(lacking))} by policy.yaml's require_for_auto, and "
            f"the playbook {playbook!r} doesn't declare it; add it to `guards`, or write `approve`"
        )


def _arguments(
    document: RuleDocument, context: RuleContext, mistakes: Mistakes
) -> Mapping[str, Renderable]:
    if document.playbook is None:
        if document.with_:
            mistakes.at("with").add("`with` belongs to a `playbook`, and this rule starts none")
        return {}
    start = StartContext(context.playbooks, context.inventory, ALERT)
    return compile_start(document.playbook, document.with_, start, mistakes).arguments
