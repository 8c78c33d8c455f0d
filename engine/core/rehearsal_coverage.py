"""What tests of rules and playbooks have reached: ends of steps, branches, cases of rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core import events
from engine.core.alert import Alert
from engine.core.catalog import Catalog
from engine.core.classify import cases_of, classify
from engine.core.loops import without_items
from engine.core.playbook import Playbook, Step
from engine.core.rule import Cases, Rule
from engine.core.severity import Mode, Severity

# What is written in the same words where it is asked for and where it is found.
HOLDS = "holds"
FAILS_TO_HOLD = "doesn't hold"
NOT_NEEDED = "ends not needed"
OPENS = "opens an incident"


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that a test should show. `what` is for people: a step and its end, a case."""

    kind: Literal["playbook", "rule"]
    owner: str
    what: str


@dataclass(frozen=True, slots=True)
class Covered:
    """A playbook or a rule, with what tests showed of it, both in the order of its text."""

    kind: Literal["playbook", "rule"]
    owner: str
    reached: tuple[str, ...]
    missing: tuple[str, ...]


def covered(goals: Sequence[Goal], reached: frozenset[Goal]) -> Sequence[Covered]:
    """The goals of each playbook and rule, in the order in which they first come."""
    owners = dict.fromkeys((goal.kind, goal.owner) for goal in goals)
    return [
        Covered(
            kind,
            owner,
            tuple(g.what for g in goals if (g.kind, g.owner) == (kind, owner) and g in reached),
            tuple(g.what for g in goals if (g.kind, g.owner) == (kind, owner) and g not in reached),
        )
        for kind, owner in owners
    ]


def goals_of(catalog: Catalog) -> Sequence[Goal]:
    """What tests can show of the user's own playbooks and rules; of the shipped without any."""
    shipped = {text for name, text in catalog.files.items() if name.startswith("shipped/")}
    playbooks = list(catalog.playbooks.values())
    rules = list(catalog.rules)
    own_playbooks = [each for each in playbooks if each.text_hash not in shipped]
    own_rules = [each for each in rules if not each.file.startswith("shipped/")]
    if own_playbooks or own_rules:
        playbooks, rules = own_playbooks, own_rules
    found = [Goal("playbook", each.id, what) for each in playbooks for what in _of_playbook(each)]
    found += [Goal("rule", each.id, what) for each in rules for what in _of_rule(each)]
    return list(dict.fromkeys(found))


def reached_by(
    catalog: Catalog, fired: Sequence[Alert], stories: Sequence[Sequence[events.Event]]
) -> frozenset[Goal]:
    """What a test reached: `fired` as the inventory completes them, `stories` one an incident."""
    found: set[Goal] = set()
    for alert in fired:
        for match in classify(alert, catalog.rules).matches:
            held = cases_of(alert, match.rule, catalog.rules)
            found |= {
                Goal("rule", match.rule.id, _case("severity", held.severity)),
                Goal("rule", match.rule.id, _case("mode", held.mode)),
            }
    for story in stories:
        found.update(_of_story(story))
    return frozenset(found)


def _of_rule(rule: Rule) -> Iterator[str]:
    yield OPENS
    yield from _of_cases("severity", rule.severity)
    yield from _of_cases("mode", rule.mode)


def _of_cases(word: str, cases: Cases[Severity] | Cases[Mode]) -> Iterator[str]:
    """A constant isn't a case: the rule's incident shows it."""
    if cases.cases:
        yield from (_case(word, case.when.text) for case in cases.cases)
        yield _case(word, "")


def _case(word: str, when: str) -> str:
    return f"{word}: {when or 'the last case'}"


def _of_playbook(playbook: Playbook) -> Iterator[str]:
    for step in (*playbook.investigate, *playbook.steps):
        yield from _of_step(step)
        for undo in step.rollback:
            yield from _of_step(undo)
    for step in playbook.verify:
        yield from _of_step(step)
    yield NOT_NEEDED


def _of_step(step: Step) -> Iterator[str]:
    ends = (HOLDS, FAILS_TO_HOLD) if step.until is not None else ("succeeded", "failed")
    yield f"{step.id}: {ends[0]}"
    if step.uses:
        yield f"{step.id}: {ends[1]}"
    if step.may_change:
        yield f"{step.id}: unknown"
    if step.condition is not None:
        yield f"{step.id}: skipped"


def _of_story(story: Sequence[events.Event]) -> Iterator[Goal]:
    playbooks: dict[str, str] = {}
    steps: dict[str, str] = {}
    for event in story:
        match event:
            case events.IncidentOpened():
                yield Goal("rule", event.rule_id, OPENS)
            case events.RunCreated():
                playbooks[event.run_id] = event.playbook_id
            case events.StepObserved() if event.phase not in ("precheck", "guards"):
                yield from _ended(playbooks[event.run_id], event.step_id, _observed(event))
            case events.QuestionAnswered() if event.answer:
                yield from _ended(playbooks[event.run_id], event.step_id, "succeeded")
            case events.AttemptIntended():
                steps[event.attempt_id] = event.step_id
            case events.AttemptEnded() if event.attempt_id in steps:
                step = steps[event.attempt_id]
                yield from _ended(playbooks[event.run_id], step, event.outcome)
            case events.StepSkipped():
                yield from _ended(playbooks[event.run_id], event.step_id, "skipped")
            case events.RunEnded() if event.outcome == "not_needed":
                yield Goal("playbook", playbooks[event.run_id], NOT_NEEDED)
            case _:
                pass


def _ended(playbook: str, step_id: str, how: str) -> Iterator[Goal]:
    """How a step ended; what a called playbook's did counts for the call as well."""
    step = without_items(step_id)
    yield Goal("playbook", playbook, f"{step}: {how}")
    if "/" in step:
        how = "succeeded" if how == HOLDS else how
        yield Goal("playbook", playbook, f"{step.partition('/')[0]}: {how}")


def _observed(event: events.StepObserved) -> str:
    if event.holds is None:
        return event.outcome
    return HOLDS if event.holds else FAILS_TO_HOLD


def percent(found: Sequence[Covered]) -> float:
    """How much of all goals is reached; 100 where there is none."""
    reached = sum(len(each.reached) for each in found)
    goals = reached + sum(len(each.missing) for each in found)
    return 100.0 * reached / goals if goals else 100.0


def as_json(found: Sequence[Covered]) -> Mapping[str, object]:
    """For programs."""
    return {
        "percent": round(percent(found), 1),
        "parts": [
            {
                "kind": each.kind,
                "id": each.owner,
                "reached": list(each.reached),
                "missing": list(each.missing),
            }
            for each in found
        ],
    }
