"""What has to be healthy before a run may change anything: the standby before the primary."""

from collections.abc import Callable, Mapping, Sequence

from engine.core.documents import Guards, StepDocument
from engine.core.guards import Refusal
from engine.core.inventory import Inventory
from engine.core.plan import Plan
from engine.core.run import GuardLook

# What is wrong with each of these names that isn't healthy; None where that can't be told.
Troubles = Callable[[Sequence[str]], Mapping[str, str] | None]


def unmet(
    plan: Plan, inventory: Inventory, looks: Mapping[str, GuardLook], troubles: Troubles
) -> tuple[Refusal | None, str]:
    """What stands in the way of a plan that needs something healthy, or why a person is asked.

    `looks` are what its guards read. What nobody can tell isn't healthy.
    """
    wanted = Guards.model_validate(plan.guards).requires
    if wanted is None:
        return None, ""
    found = _reason(wanted.healthy, inventory, troubles) if wanted.healthy else ""
    reason = "; ".join(filter(None, (found, _checked(wanted.check, looks))))
    if not reason or wanted.otherwise == "ask":
        return None, reason
    return Refusal("requires", reason, waits=wanted.otherwise == "wait"), ""


def _checked(check: StepDocument | None, looks: Mapping[str, GuardLook]) -> str:
    if check is None:
        return ""
    look = looks.get(check.id)
    if look is not None and look.holds:
        return ""
    why = f" ({look.error})" if look is not None and look.error else ""
    return f"{check.description or check.id} has to hold, and does not: {check.until}{why}"


def _reason(names: Sequence[str], inventory: Inventory, troubles: Troubles) -> str:
    for name in names:
        if name not in inventory.services and name not in inventory.targets:
            return f"{name!r} has to be healthy, and is no service or target of the inventory"
    found = troubles(names)
    if found is None:
        return f"too much fires at once to tell whether {', '.join(names)} is healthy"
    told = [f"{name} has to be healthy, and {found[name]}" for name in names if name in found]
    return "; ".join(told)
