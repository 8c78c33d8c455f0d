"""What was changed lately near what a run would change: by others, or by quell itself.

Others at work: who changes a thing doesn't know what somebody else does to it. A cause: an alert
that began after its service was changed, by a run of quell's too, may be what that change caused.
Both ask a person, because nobody else can tell.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.core.documents import Guards, OthersAtWork
from engine.core.durations import format_duration, parse_duration
from engine.core.guards import OUTSIDE, Among, Guard, GuardName, Reservation
from engine.core.ids import derived_id
from engine.core.incident import BY_HAND, Incident
from engine.core.inventory import Inventory
from engine.core.plan import Plan
from engine.core.silences import Silence, check_matchers

# For so long after a run has ended, what begins where it changed something may follow from that.
MAY_FOLLOW = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """What somebody else changed: target ids, and services as a whole.

    `what` says in some words what that was, as in `terraform apply of gpu-pool`.
    """

    what: str
    targets: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


def rows_of(
    change: OutsideChange, inventory: Inventory, *, actor: str, at: datetime
) -> tuple[Reservation, ...]:
    """What is kept of a change of which this actor told: over at that moment, and no run's."""
    places = [(target, inventory.service_of(target)) for target in change.targets]
    places += [("", service) for service in change.services]
    return tuple(
        Reservation(
            run_id=derived_id(OUTSIDE, actor, change.what, at.isoformat(), target or service),
            target=target,
            playbook_id=change.what,
            rule_id="",
            service=service,
            incident_id="",
            incident=actor,
            taken_at=at,
            released_at=at,
            outcome=OUTSIDE,
        )
        for target, service in places
    )


@dataclass(frozen=True, slots=True)
class Nearby:
    """The reservations that are looked at: on the same targets, and on services that matter.

    A change of a service that this run's services need may be felt in them. None of them has to be
    locked: the targets are by their lock, and what a change causes comes after its commit.
    """

    others: Sequence[Guard]
    causes: Sequence[Guard]
    within: timedelta


def nearby(plan: Plan, services: Iterable[str], inventory: Inventory) -> Nearby:
    """What a plan has to look at; `services` are those of the targets that it changes."""
    wanted = [Guards.model_validate(each.guards).others_at_work for each in plan.guarded]
    within = max(parse_duration((each or OthersAtWork()).within) for each in wanted)
    targets = [target for target in plan.changed_targets if target]
    own = sorted({each for each in services if each})
    reached = set(own)
    for service in own:
        reached |= inventory.needs(service) & set(inventory.services)
    by_target: list[Among] = [(("target", each),) for each in targets]
    by_service: list[Among] = [(("service", each),) for each in sorted(reached)]
    return Nearby(
        [
            *(lately_changed(each, within) for each in targets),
            *(_lately_released("others_at_work", _as_a_whole(each), within) for each in own),
        ],
        [_lately_released("caused_by", each, MAY_FOLLOW) for each in (*by_target, *by_service)],
        within,
    )


def lately_changed(target: str, within: timedelta) -> Guard:
    """What others did to a target."""
    return _lately_released("others_at_work", (("target", target),), within)


def _as_a_whole(service: str) -> Among:
    return (("target", ""), ("service", service))


def _lately_released(name: GuardName, among: Among, within: timedelta) -> Guard:
    return Guard(name, among, "released", within=within, then="ask")


def caused_by(
    near: Nearby,
    plan: Plan,
    incident: Incident,
    reserved: Callable[[Guard], Sequence[Reservation]],
    now: datetime,
) -> str:
    """Which earlier change may have caused the incident of this plan, "" when none may.

    The alert that a run was started for, come again on the same target, isn't caused by it.
    """
    if incident.by_hand:
        return ""
    for guard in near.causes:
        for each in reversed(reserved(guard)):
            again = each.rule_id == incident.rule_id and each.target in plan.changed_targets
            before = each.taken_at < incident.opened_at and each.incident_id != incident.id
            over = each.released_at is not None and each.released_at <= now - MAY_FOLLOW
            if before and not again and not over:
                changed = each.target or each.service or "something"
                return (
                    f"it began after {each.playbook_id} changed {changed} "
                    f"({each.incident}, {each.taken_at:%H:%M:%S} UTC), which may have caused it"
                )
    return ""


def others_at_work(
    near: Nearby,
    plan: Plan,
    incident: Incident,
    reserved: Callable[[Guard], Sequence[Reservation]],
    now: datetime,
) -> str:
    """Who else changed a target of this plan lately, or a service of one, "" when nobody did.

    The same playbook's own runs have a cooldown and a recurrence; a person who started one, or
    who let go of the lock that one had left, was there. Who holds a target now has locked it.
    """
    for guard in near.others:
        for each in reversed(reserved(guard)):
            ended = each.released_at
            if each.incident_id == incident.id or not _is_other(each, plan) or ended is None:
                continue
            if ended > now - near.within:
                who = "a person's run of " if each.rule_id == BY_HAND else ""
                return (
                    f"{each.target or each.service} was changed by {who}{each.playbook_id} until "
                    f"{ended:%H:%M:%S} UTC ({each.incident}), less than "
                    f"{format_duration(near.within)} ago"
                )
    return ""


def _is_other(row: Reservation, plan: Plan) -> bool:
    if row.outcome == OUTSIDE:
        return True
    by_person = row.rule_id == BY_HAND or not row.outcome
    # A run whose target nobody knows did not change the service as a whole.
    return bool(row.target) and (row.playbook_id != plan.playbook_id or by_person)


def silenced_at_work(
    near: Nearby, plan: Plan, silences: Iterable[Silence], inventory: Inventory, now: datetime
) -> str:
    """Which person's silence names a target of this plan, now or lately, "" when none does.

    It names a target where a matcher wants a label to be its id or one of its aliases.
    """
    for silence in silences:
        if silence.is_expected or not silence.starts_at <= now < silence.ends_at + near.within:
            continue
        for matcher in check_matchers(silence.matchers):
            target = inventory.target_id(matcher.value) if matcher.op == "=" else ""
            if target and target in plan.changed_targets:
                return (
                    f"somebody is at work on {target}: {silence.actor} silenced {matcher} until "
                    f"{silence.ends_at:%H:%M:%S} UTC ({silence.comment})"
                )
    return ""
