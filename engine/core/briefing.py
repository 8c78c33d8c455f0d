"""All that a person wants to know of a plan before it runs: its looks, guards, permissions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.core.blast_radius import radii_of
from engine.core.documents import Guards
from engine.core.expansion import expand, investigations
from engine.core.expected_alerts import expected_of
from engine.core.freezes import freeze_limits, freezes_ahead, freezes_over
from engine.core.guard_words import (
    ToldGuard,
    told_brake,
    told_counts,
    told_expected,
    told_freeze,
    told_radius,
    told_requires,
)
from engine.core.guards import guards_of, services_of
from engine.core.host_permissions import Permissions, permissions_of_steps
from engine.core.plan import Plan, PlannedStep
from engine.core.planning import PlanError, Planner, subjects_of_plan
from engine.core.playbook import Playbook
from engine.core.recent_changes import nearby
from engine.core.run_batches import touched_by_batch
from engine.core.scopes import Known
from engine.core.severity import ModeLimit

# A freeze that begins later is no matter of a run that is looked at now.
LOOKS_AHEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Briefing:
    """A plan as it would be made now. `looks` are what is read, and asked, before it is made."""

    plan: Plan
    limits: tuple[ModeLimit, ...]
    holes: tuple[str, ...]
    looks: tuple[PlannedStep, ...]
    guards: tuple[ToldGuard, ...]
    permissions: Permissions


def brief(
    planner: Planner, playbook: Playbook, run_id: str, known: Known, now: datetime
) -> Briefing:
    """The plan with holes, and what stands beside it. Raises PlanError where there is none."""
    rendered = planner.render(playbook, run_id, known, with_holes=True)
    looks: list[PlannedStep] = []
    holes: list[str] = []
    asked = list(investigations(playbook, known))
    for placed in asked:
        try:
            looks.append(planner.place(placed))
        except PlanError as error:
            holes.append(str(error))
    steps = expand(playbook, known, lambda *_: None).steps
    declared = {name: action.declaration for name, action in planner.actions.items()}
    subjects = subjects_of_plan(rendered.plan, known.incident, known.inventory)
    frozen = freeze_limits(freezes_over(planner.catalog.policy.freezes, subjects, now))
    return Briefing(
        plan=rendered.plan,
        limits=(*rendered.limits, *frozen),
        holes=(*holes, *rendered.holes),
        looks=tuple(looks),
        guards=tuple(_guards(planner, rendered.plan, known, now)),
        permissions=permissions_of_steps(planner.catalog, declared, (*asked, *steps)),
    )


def _guards(planner: Planner, plan: Plan, known: Known, now: datetime) -> Iterable[ToldGuard]:
    """Every guard once, in the order in which they are asked."""
    found = {each.text: each for each in _all_guards(planner, plan, known, now)}
    return found.values()


def _all_guards(planner: Planner, plan: Plan, known: Known, now: datetime) -> Iterator[ToldGuard]:
    policy, inventory, incident = planner.catalog.policy, known.inventory, known.incident
    services = services_of(plan, inventory, incident.service)
    counting = [
        guard
        for each in plan.guarded
        for guard in guards_of(each, incident.rule_id, services.values(), policy.limits)
    ]
    yield from told_counts(each for each in counting if each.then != "ask")
    batches = touched_by_batch(plan)
    for each in plan.guarded:
        yield from (told_radius(r, batches) for r in radii_of(each, inventory, policy.limits))
    for each in plan.guarded:
        if (wanted := Guards.model_validate(each.guards).requires) is not None:
            yield told_requires(wanted)
    yield from told_counts(each for each in counting if each.then == "ask")
    near = nearby(plan, services.values(), inventory)
    yield from told_counts(each for each in near.others if each.within)
    if not incident.by_hand:
        yield from told_counts(near.causes)
    subjects = subjects_of_plan(plan, incident, inventory)
    ahead = freezes_ahead(policy.freezes, subjects, now, now + LOOKS_AHEAD)
    yield from (told_freeze(each, now) for each in ahead)
    if policy.storm_brake is not None:
        yield told_brake(policy.storm_brake, len(inventory.services))
    yield from map(told_expected, expected_of(plan))
