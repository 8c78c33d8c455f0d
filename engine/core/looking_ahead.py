"""Which alert may be decided on ahead of those in front of it, so that a storm can't hide a P1.

Only one that comes to the same whatever is decided before or after it: the same matches and
severities, and nothing that waits. Which alert opens an incident that several share may change;
the order of two partitions decides that, too.
"""

from dataclasses import dataclass
from typing import Literal

from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.classify import classify, labels_of, value_of
from engine.core.conditions import AT_ONCE
from engine.core.incident import correlation_key
from engine.core.inventory import enrich
from engine.core.records import Glance, Tick
from engine.core.rule_set import RuleSet
from engine.core.severity import Mode, Severity


@dataclass(frozen=True, slots=True)
class Ahead:
    """It may; it would open or join the incidents of these correlation keys.

    `acts`: a playbook would start and ask nobody.
    """

    correlations: tuple[str, ...]
    acts: bool


# Why an alert keeps its place: it ends something, no rule says P1, a rule waits for more than this
# alert, or others wait for what it comes to.
InOrder = Literal["resolves", "not a P1", "has conditions", "holds others back"]


def at_a_glance(seen: Glance, rules: RuleSet) -> InOrder | None:
    """Why an alert keeps its place as far as a few words of it tell; None: look closer."""
    if seen.status != "firing":
        return "resolves"
    labels = {**seen.labels, "alertname": seen.name}
    if all(rule.gravest is not Severity.P1 for rule in rules.candidates(labels)):
        return "not a P1"
    return None


def standing(alert: Alert, catalog: Catalog) -> Ahead | InOrder:
    """Whether a firing alert, as its sender told it, may go ahead."""
    alert, rules = enrich(alert, catalog.inventory), catalog.rules
    labels, matches = labels_of(alert), classify(alert, rules).matches
    if all(match.severity is not Severity.P1 for match in matches):
        return "not a P1"
    if any(match.rule.conditions is not AT_ONCE for match in matches):
        return "has conditions"
    if rules.inhibitor_keys(labels, lambda name: value_of(name, alert, labels)):
        return "holds others back"
    return Ahead(
        tuple(correlation_key(match.rule.id, match.group) for match in matches),
        acts=any(match.rule.playbook and match.mode.mode is Mode.AUTO for match in matches),
    )


def subject_of(value: Glance | Tick) -> str:
    """The id of what a record is about: no later record of the same may go ahead of it.

    A fingerprint, an incident or a group; what a timer adds behind a slash isn't part of it.
    """
    return value.fingerprint if isinstance(value, Glance) else value.subject.partition("/")[0]
