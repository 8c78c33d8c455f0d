"""What a catalog lets happen with less of a person than the one before: that takes a second person.

Until somebody else has confirmed it, each part that was raised keeps its lower mode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from engine.core.actions import Effect
from engine.core.catalog import Catalog
from engine.core.compiling import compile_condition
from engine.core.mistakes import Mistakes
from engine.core.policy import CheckedCeiling
from engine.core.rule import Rule
from engine.core.rule_set import RuleSet
from engine.core.scopes import POLICY
from engine.core.severity import Mode, ModeLimit

Pairs = tuple[tuple[str, str], ...]
_ALL = tuple(Mode)


class CeilingModes(BaseModel):
    """One ceiling of a policy; "" where it says nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: str
    effect: str
    mode: str
    quorum: int


class Modes(BaseModel):
    """How far everything goes by the words of one catalog version; kept as a text.

    `rules` has the cases of each in order, the last one's condition being "". `guarded` are the
    modes that a raise needs a second person for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Mapping[str, Pairs]
    playbooks: Mapping[str, str]
    ceilings: tuple[CeilingModes, ...]
    guarded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Raise:
    """A part that goes further than before, and the mode that it keeps; None: its old ceilings."""

    kind: str
    name: str
    keeps: Mode | None
    told: str


def modes_of(catalog: Catalog) -> Modes:
    """By the words of its files, whatever else limits them."""
    return Modes(
        rules={rule.id: _pairs(rule) for rule in catalog.rules},
        playbooks={each.id: each.max_mode.value for each in catalog.playbooks.values()},
        ceilings=tuple(map(_ceiling, catalog.policy.ceilings)),
        guarded=tuple(sorted(catalog.policy.second_person_for)),
    )


def raises(before: Modes, after: Modes) -> Sequence[Raise]:
    """What goes further now, to a mode that one of both versions guards.

    A rule with several cases was raised unless each case is there, in order, and none goes further.
    What is new was as far as an unguarded mode goes.
    """
    guarded = {Mode(each) for each in (*before.guarded, *after.guarded)}
    if not guarded:
        return ()
    new = _ALL[max(min(mode.rank for mode in guarded) - 1, 0)]
    found = []
    for rule, pairs in after.rules.items():
        old = before.rules.get(rule, (("", new.value),))
        if _went_further(old, pairs, guarded):
            found.append(_raise("rule", rule, old, pairs))
    for playbook, mode in after.playbooks.items():
        old, pairs = (("", before.playbooks.get(playbook, new.value)),), (("", mode),)
        if _went_further(old, pairs, guarded):
            found.append(_raise("playbook", playbook, old, pairs))
    most = max(mode.rank for mode in guarded)
    for ceiling in before.ceilings:
        limits = Mode(ceiling.mode).rank < most or ceiling.quorum > 1
        if limits and not any(_covers(each, ceiling) for each in after.ceilings):
            where = ceiling.when or ceiling.effect or "every change"
            told = f"policy: the ceiling {ceiling.mode} where {where} is gone, and still holds"
            found.append(Raise("policy", where, None, told))
    if not set(before.guarded) <= set(after.guarded):
        told = "policy: second_person_for names less, and still holds as it was"
        found.append(Raise("policy", "second_person_for", None, told))
    return found


def held_down(catalog: Catalog, before: Modes, found: Sequence[Raise]) -> Catalog:
    """The catalog in which these parts go no further than before."""
    rules = {each.name: each for each in found if each.kind == "rule"}
    playbooks = {each.name: each for each in found if each.kind == "playbook"}
    policy = catalog.policy
    if any(each.kind == "policy" for each in found):
        policy = replace(policy, ceilings=(*_compiled(before.ceilings), *policy.ceilings))
    return replace(
        catalog,
        rules=RuleSet(_capped_rule(rule, rules.get(rule.id)) for rule in catalog.rules),
        playbooks={
            name: replace(each, caps=(_cap(playbooks[name]),)) if name in playbooks else each
            for name, each in catalog.playbooks.items()
        },
        policy=policy,
    )


def _pairs(rule: Rule) -> Pairs:
    cases = [(case.when.text, case.value.value) for case in rule.mode.cases]
    return (*cases, ("", rule.mode.otherwise.value))


def _ceiling(ceiling: CheckedCeiling) -> CeilingModes:
    return CeilingModes(
        when=ceiling.when.text if ceiling.when else "",
        effect=ceiling.effect.value if ceiling.effect else "",
        mode=ceiling.mode.value,
        quorum=ceiling.quorum,
    )


def _went_further(old: Pairs, new: Pairs, guarded: set[Mode]) -> bool:
    if not any(Mode(mode) in guarded for _, mode in new):
        return False
    same = [when for when, _ in old] == [when for when, _ in new]
    return not same or any(
        Mode(after).rank > Mode(before).rank and Mode(after) in guarded
        for (_, before), (_, after) in zip(old, new, strict=True)
    )


def _raise(kind: str, name: str, old: Pairs, new: Pairs) -> Raise:
    keeps = min((Mode(mode) for _, mode in old), key=lambda mode: mode.rank)
    most = max((Mode(mode) for _, mode in new), key=lambda mode: mode.rank)
    return Raise(kind, name, keeps, f"{kind} {name}: {most.value}, and keeps {keeps.value}")


def _covers(ceiling: CeilingModes, old: CeilingModes) -> bool:
    """Whether a ceiling still limits what the old one did, as far at least."""
    same = (ceiling.when, ceiling.effect) == (old.when, old.effect)
    return same and Mode(ceiling.mode).rank <= Mode(old.mode).rank and ceiling.quorum >= old.quorum


def _cap(found: Raise) -> ModeLimit:
    why = f"{found.kind} {found.name} was raised, which a second person has to confirm"
    return ModeLimit(found.keeps or Mode.APPROVE, why)


def _capped_rule(rule: Rule, found: Raise | None) -> Rule:
    return rule if found is None else replace(rule, caps=(*rule.caps, _cap(found)))


def _compiled(ceilings: Sequence[CeilingModes]) -> list[CheckedCeiling]:
    return [
        CheckedCeiling(
            when=compile_condition(each.when, POLICY, Mistakes()) if each.when else None,
            effect=Effect(each.effect) if each.effect else None,
            mode=Mode(each.mode),
            quorum=each.quorum,
        )
        for each in ceilings
    ]
