"""A rule and its test for an alert, made so that both are right in the project they go into."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.app.configured import catalog_sources, checked_catalog
from engine.app.process import SystemClock
from engine.app.rehearsals import alert_of_step
from engine.catalog.drafts import (
    MORE,
    SKELETON,
    Example,
    Outcome,
    draft_rule,
    draft_test,
    outcome_of,
)
from engine.core.classify import classify
from engine.core.inventory import enrich
from engine.core.rehearsal_documents import AlertStep
from engine.errors import ConfigError
from engine.settings import LoadedSettings


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts of ID.yaml and ID.test.yaml."""

    rule_id: str
    rule: str
    test: str


def draft(loaded: LoadedSettings, rule_id: str, examples: Sequence[Example]) -> Draft:
    """A rule that takes these alerts, and a test that fires the first of them.

    Without examples it is a skeleton. Raises ConfigError for mistakes in the project's files, for
    an id that is taken, and where an earlier rule takes the alert, because the new one would then
    never be asked.
    """
    catalog = checked_catalog(catalog_sources(loaded))
    for rule in catalog.rules:
        if rule.id == rule_id:
            raise ConfigError(f"{rule.file} has a rule {rule_id!r} already; choose another --id")
    more = "" if examples else MORE
    examples = examples or (SKELETON,)
    first, place = examples[0], f"rules/{rule_id}.yaml"
    step = AlertStep(
        fire="alert", source=first.source, labels=first.fired, annotations=first.annotations
    )
    alert = enrich(alert_of_step(step, SystemClock().now(), firing=True), catalog.inventory)
    found = classify(alert, catalog.rules)
    taken = found.taken
    if taken is not None and _is_asked_before(taken.rule.file, place) and not taken.is_catch_all:
        raise ConfigError(
            f"rule {taken.rule.id!r} of {taken.rule.file} takes this alert already, and is asked "
            f"before {place}; change that rule, or choose an --id that sorts before it"
        )
    outcomes = [
        Outcome(each.rule.id, each.severity, each.mode.mode.value)
        for each in found.observed
        if _is_asked_before(each.rule.file, place) and not each.is_catch_all
    ]
    outcomes.append(outcome_of(rule_id, first))
    return Draft(rule_id, draft_rule(rule_id, examples, more), draft_test(first, outcomes))


def _is_asked_before(file: str, place: str) -> bool:
    """Whether the rules of a file come before those of `place`: the user's, in byte order."""
    return not file.startswith("shipped/") and file.encode() < place.encode()
