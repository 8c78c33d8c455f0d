"""How many of a group may be unavailable or touched at once, and the sentence that says so."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.core.documents import Guards
from engine.core.guards import Guard, Refusal, Reservation
from engine.core.inventory import TARGET_LABELS, Inventory
from engine.core.plan import Plan
from engine.core.policy_documents import Limits
from engine.core.run import GuardLook

# Of more alerts than this that fire at once, nobody says any more which targets are available.
FIRING_AT_MOST = 2000
TOLD_AT_MOST = 5
# The id of the read that tells which targets are unavailable.
UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Availability:
    """What a query told: why each target is unavailable, and those of which it told anything.

    `unknown` says why it tells nothing at all.
    """

    down: Mapping[str, str] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    unknown: str = ""


NOT_ASKED = Availability()


def availability_of(look: GuardLook | None, inventory: Inventory) -> Availability:
    """From the samples of a query: each names a target, and is 0 where that is available."""
    if look is None:
        return Availability(unknown="Prometheus was not asked yet")
    if look.error:
        return Availability(unknown=f"Prometheus told nothing: {look.error}")
    values = look.outputs.get("values")
    down: dict[str, str] = {}
    told: set[str] = set()
    for sample in values if isinstance(values, list) else ():
        labels = sample.get("labels") if isinstance(sample, dict) else None
        target = _target_of(labels if isinstance(labels, dict) else {}, inventory)
        told.add(target)
        if isinstance(sample, dict) and sample.get("value") != 0:
            down[target] = "by Prometheus"
    return Availability(down, frozenset(told))


def _target_of(labels: Mapping[str, object], inventory: Inventory) -> str:
    """The target that a sample's labels name, "" when they name none."""
    for name in TARGET_LABELS:
        if target := inventory.target_id(str(labels.get(name, ""))):
            return target
    return ""


@dataclass(frozen=True, slots=True)
class Radius:
    """Of these members at most so many; `guard` finds who touches some of them.

    `service` is the group, "" for the whole fleet. `asks`: a query tells who is unavailable, too.
    """

    service: str
    members: tuple[str, ...]
    share: int | str
    guard: Guard
    asks: bool = False

    @property
    def at_most(self) -> int:
        """The most that may be unavailable, with what the run touches."""
        return allowed(self.share, len(self.members))


def allowed(share: int | str, size: int) -> int:
    """So many, or this share of a group, rounded up.

    As Kubernetes reads maxUnavailable of a PodDisruptionBudget: 50% of 7 are 4
    (kubernetes.io/docs/tasks/run-application/configure-pdb).
    """
    if isinstance(share, int) or not share.endswith("%"):
        return int(share)
    return -(-size * int(share.removesuffix("%")) // 100)


def radii_of(plan: Plan, inventory: Inventory, limits: Limits) -> tuple[Radius, ...]:
    """What bounds a plan: the playbook's own group, and policy's bound over the fleet."""
    found = []
    if (own := Guards.model_validate(plan.guards).blast_radius) is not None:
        members = [each for each in inventory.targets if inventory.service_of(each) == own.group]
        radius = _radius(own.group, members, own.max_unavailable)
        found.append(replace(radius, asks=own.unavailable is not None))
    if limits.fleet_unavailable is not None:
        found.append(_radius("", list(inventory.targets), limits.fleet_unavailable))
    return tuple(found)


def _radius(service: str, members: Sequence[str], share: int | str) -> Radius:
    guard = Guard("blast_radius", (("service", service),) if service else (), "held", then="wait")
    return Radius(service, tuple(sorted(members)), share, guard)


def first_excess(
    radii: Sequence[Radius],
    run_id: str,
    touches: Collection[str],
    reserved: Callable[[Guard], Sequence[Reservation]],
    firing: Callable[[], Mapping[str, str] | None],
    available: Availability = NOT_ASKED,
) -> Refusal | None:
    """The first radius that a run would exceed; None when all let it pass.

    `touches` is what it may make unavailable at once, with what comes next: each counts once,
    whether it is available or not. `firing` gives the open incident in which each target fires,
    None where that can't be told. A target that nobody knows counts as unavailable.
    """
    for radius in radii:
        name = radius.service or "the fleet"
        if not radius.members:
            return _refusal(f"the inventory has no target of {name}")
        fires = firing()
        if fires is None:
            return _refusal(f"too much fires at once to tell what of {name} is available")
        if radius.asks and available.unknown:
            return _refusal(f"nobody can tell what of {name} is available: {available.unknown}")
        down = _down_by_query(radius, available) if radius.asks else {}
        down |= {each: f"fires in {fires[each]}" for each in radius.members if each in fires}
        for held in reserved(radius.guard):
            if held.run_id != run_id and held.released_at is None:
                down[held.target or held.run_id] = f"the run of {held.incident} is at work"
        touched = {*touches} & {*radius.members, ""}
        others = {each: why for each, why in down.items() if each not in touched}
        if touched and len(touched) + len(others) > radius.at_most:
            told = [f"{each} ({why})" for each, why in sorted(others.items())]
            more = f" and {len(told) - TOLD_AT_MOST} more" if len(told) > TOLD_AT_MOST else ""
            because = f": {', '.join(told[:TOLD_AT_MOST])}{more}" if told else ""
            return _refusal(
                f"{len(touched) + len(others)} of {len(radius.members)} of {name} would be "
                f"unavailable, and {radius.at_most} may{because}"
            )
    return None


def _down_by_query(radius: Radius, available: Availability) -> dict[str, str]:
    """What nobody told of is unavailable; so is a sample that names no target of the group."""
    down = {each: "not told by Prometheus" for each in radius.members if each not in available.told}
    down |= {each: why for each, why in available.down.items() if each in radius.members}
    if "" in available.down:
        down["a target that the inventory doesn't know"] = available.down[""]
    return down


def _refusal(reason: str) -> Refusal:
    return Refusal("blast_radius", reason, waits=True)
