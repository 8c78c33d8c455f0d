"""What stands above all rules and playbooks: ceilings on the mode, and what `auto` must have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.actions import Effect
from engine.core.calendars import Calendar, compile_calendars
from engine.core.compiling import compile_condition, compile_duration
from engine.core.expressions import Bindings, Expression, ExpressionFailedError
from engine.core.freezes import CheckedFreeze
from engine.core.mistakes import Mistakes
from engine.core.policy_documents import NO_LIMITS, Limits, PolicyDocument, StormBrake
from engine.core.scopes import POLICY, POLICY_FIELDS
from engine.core.severity import Mode, ModeLimit
from engine.core.silences import RecurringSilence, compile_silencing
from engine.core.storm_brake import CheckedBrake

# What a playbook has to declare. Every run has a verification, a precheck and a lock; and whether
# the source confirms, only the moment of acting can tell: without it, the run asks a person.
DECLARED = frozenset({"budget", "blast_radius"})


@dataclass(frozen=True, slots=True)
class CheckedCeiling:
    """The most automation allowed where it applies; None applies everywhere."""

    when: Expression | None
    effect: Effect | None
    mode: Mode
    quorum: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of one catalog version, ready to be asked.

    For `auto`, a playbook needs what is `declared`, its run the source's word where
    `source_confirms`.
    """

    ceilings: tuple[CheckedCeiling, ...] = ()
    declared: frozenset[str] = frozenset()
    source_confirms: bool = False
    silences: tuple[RecurringSilence, ...] = ()
    freezes: tuple[CheckedFreeze, ...] = ()
    limits: Limits = NO_LIMITS
    storm_brake: CheckedBrake | None = None
    second_person_for: frozenset[str] = frozenset()


def compile_policy(document: PolicyDocument, mistakes: Mistakes) -> Policy:
    """The policy; its mistakes are recorded and leave their ceiling out."""
    ceilings = []
    for index, ceiling in enumerate(document.ceilings):
        when = None
        if ceiling.when is not None:
            when = compile_condition(ceiling.when, POLICY, mistakes.at("ceilings", index, "when"))
        effect = None if ceiling.effect is None else Effect(ceiling.effect)
        ceilings.append(CheckedCeiling(when, effect, Mode(ceiling.mode), ceiling.quorum))
    required = frozenset(document.require_for_auto)
    limits = document.limits
    if limits.fleet_unavailable is not None:
        _check_share(limits.fleet_unavailable, mistakes.at("limits", "fleet_unavailable"))
    if limits.changes is not None:
        compile_duration(limits.changes.within, mistakes.at("limits", "changes", "within"))
    calendars = compile_calendars(document.calendars, mistakes.at("calendars"))
    return Policy(
        tuple(ceilings),
        required & DECLARED,
        "source_confirms" in required,
        _silences(document, calendars, mistakes.at("silences")),
        _freezes(document, calendars, mistakes.at("freezes")),
        limits,
        _brake(document.storm_brake, mistakes.at("storm_brake")),
        frozenset(document.second_person_for),
    )


def _silences(
    document: PolicyDocument, calendars: Mapping[str, Calendar], mistakes: Mistakes
) -> tuple[RecurringSilence, ...]:
    found = []
    for index, each in enumerate(document.silences):
        here = mistakes.at(index)
        matchers = compile_silencing(each.matchers, here.at("matchers"))
        calendar = _calendar(each.calendar, document, calendars, here)
        if calendar is not None:
            found.append(RecurringSilence(each.id, calendar, matchers, each.why))
    return tuple(found)


def _freezes(
    document: PolicyDocument, calendars: Mapping[str, Calendar], mistakes: Mistakes
) -> tuple[CheckedFreeze, ...]:
    found = []
    for index, each in enumerate(document.freezes):
        here = mistakes.at(index)
        when = None
        if each.when is not None:
            when = compile_condition(each.when, POLICY, here.at("when"))
        calendar = _calendar(each.calendar, document, calendars, here)
        if calendar is not None:
            found.append(CheckedFreeze(each.id, calendar, when, each.policy, each.why))
    return tuple(found)


def _calendar(
    name: str, document: PolicyDocument, calendars: Mapping[str, Calendar], mistakes: Mistakes
) -> Calendar | None:
    if name not in document.calendars:
        mistakes.at("calendar").unknown("calendar", name, document.calendars)
    return calendars.get(name)


def policy_limits(
    policy: Policy,
    subjects: Sequence[Mapping[str, str]],
    effects: frozenset[Effect],
    declared: frozenset[str],
) -> list[ModeLimit]:
    """Every limit that the policy sets on changing these subjects with these effects.

    A subject has the values of POLICY_FIELDS: the incident's own, and `Inventory.facts_of` each
    target, so that a label can't move a change out of its environment. A ceiling whose expression
    fails applies. `declared` are the guards that the playbook declares.
    """
    found = []
    bindings = [Bindings({name: each.get(name, "") for name in POLICY_FIELDS}) for each in subjects]
    for ceiling in policy.ceilings:
        if ceiling.effect is not None and ceiling.effect not in effects:
            continue
        reason = _applies(ceiling, bindings)
        if not reason:
            continue
        found.append(ModeLimit(ceiling.mode, f"policy: {reason}"))
        if ceiling.quorum > 1:
            found.append(
                ModeLimit(
                    Mode.SUGGEST,
                    f"policy: {reason} needs {ceiling.quorum} approvals, "
                    "and this version asks one person",
                )
            )
    found.extend(
        ModeLimit(Mode.APPROVE, f"policy: auto needs {word}, which the playbook does not declare")
        for word in sorted(policy.declared - declared)
    )
    return found


def _applies(ceiling: CheckedCeiling, subjects: Sequence[Bindings]) -> str:
    """Why a ceiling applies, "" when it doesn't."""
    effect = f"effect {ceiling.effect.value}" if ceiling.effect is not None else ""
    if ceiling.when is None:
        return effect or "every change"
    for subject in subjects:
        try:
            if ceiling.when.evaluate(subject):
                return f"{effect} where {ceiling.when.text}".strip()
        except ExpressionFailedError as error:
            return str(error)
    return ""


def _brake(document: StormBrake | None, mistakes: Mistakes) -> CheckedBrake | None:
    if document is None:
        return None
    percent = _check_share(document.fraction, mistakes.at("fraction"))
    within = compile_duration(document.within, mistakes.at("within"))
    return CheckedBrake(percent, document.services, within)


def _check_share(text: str, mistakes: Mistakes) -> int:
    number = text.removesuffix("%")
    if number == text or not number.isdecimal() or int(number) > 100:
        mistakes.add(f"{text!r} isn't a share; write it like '10%'")
        return 100
    return int(number)
