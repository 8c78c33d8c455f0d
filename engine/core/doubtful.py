"""What rules and policy say that nobody means: it loads, and does something else than it says."""

from collections.abc import Iterator

from engine.core.expression_equalities import equalities
from engine.core.expression_tokens import read_tokens
from engine.core.expressions import Expression
from engine.core.findings import closest
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistake, Path
from engine.core.playbook import Playbook
from engine.core.policy import Policy, policy_limits
from engine.core.rule import Rule
from engine.core.scopes import POLICY
from engine.core.severity import Mode, ModeLimit, effective_mode

# What quell knows of an alert by a name of its own; any other name is a label.
KNOWN = ("service", "resource", "target", "environment", "team", "customer", "region")
# A letter too many, too few or another: `cluster` is no slip of `customer`.
SLIP = 0.85
# The one word that `notify` has: whom quell.yaml tells.
TEAM = "team"


def doubtful(rule: Rule, playbook: Playbook | None, policy: Policy) -> Iterator[Mistake]:
    """Each with its place in the rule's document; `playbook` is the one that the rule starts."""
    for path, name in _names(rule):
        meant = "" if name in KNOWN else closest(name, KNOWN, SLIP)
        if meant:
            yield Mistake(
                path,
                f'{name!r} is read as a label, which is "" where an alert has none: '
                f"did you mean {meant!r}?",
            )
    for index, each in enumerate(rule.notify):
        if each != TEAM:
            yield Mistake(
                ("notify", index),
                f"{each!r} isn't told apart yet: whoever is named, quell.yaml's `people` are told; "
                "write `[team]`, or `[]` to tell nobody",
            )
    mildest = max([rule.severity.otherwise, *(case.value for case in rule.severity.cases)])
    for index, growth in enumerate(rule.conditions.escalate):
        if growth.severity >= mildest:
            yield Mistake(
                ("escalate", index, "is"),
                f"this does nothing: a severity only rises, and is {mildest.name} or graver from "
                "the beginning",
            )
    if playbook is not None and Mode.AUTO in {
        rule.mode.otherwise,
        *(case.value for case in rule.mode.cases),
    }:
        yield from _never_auto(playbook, policy)


def doubtful_policy(policy: Policy, inventory: Inventory) -> Iterator[Mistake]:
    """Slips in the values that ceilings and freezes compare with: such a ceiling never applies."""
    for path, when in _compared(policy):
        for name, value in equalities(read_tokens(when.text), POLICY):
            known = {getattr(service, name, "") for service in inventory.services.values()}
            names = inventory.services if name == "service" else known
            meant = "" if value in names else closest(value, names, SLIP)
            if meant:
                yield Mistake(
                    path,
                    f"nothing in the inventory has the {name} {value!r}, so this never holds for "
                    f"it: did you mean {meant!r}?",
                )


def _compared(policy: Policy) -> Iterator[tuple[Path, Expression]]:
    for index, ceiling in enumerate(policy.ceilings):
        if ceiling.when is not None:
            yield ("ceilings", index, "when"), ceiling.when
    for index, freeze in enumerate(policy.freezes):
        if freeze.when is not None:
            yield ("freezes", index, "when"), freeze.when


def _names(rule: Rule) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(rule.group_by):
        yield ("group_by", index), name
    conditions = rule.conditions
    if conditions.window is not None and conditions.window.distinct:
        yield ("window", "distinct"), conditions.window.distinct
    for index, name in enumerate(conditions.inhibited_by.equal if conditions.inhibited_by else ()):
        yield ("inhibited_by", "equal", index), name


def _never_auto(playbook: Playbook, policy: Policy) -> Iterator[Mistake]:
    """Where the playbook and the policy lower every `auto`, whatever the alert is about."""
    limits = policy_limits(policy, [], playbook.effects, playbook.declares)
    rule = ModeLimit(Mode.AUTO, "the rule")
    most = effective_mode((rule, *playbook.mode_limits(), *limits))
    if most.mode is not Mode.AUTO:
        yield Mistake(
            ("mode",), f"`auto` is never more than `{most.mode.value}` here: {most.decided_by}"
        )
