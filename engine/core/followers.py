"""What follows a run that failed: the playbook of its `on_failure`, as a run of its own."""

from collections.abc import Sequence

from engine.core import events
from engine.core.catalog import Catalog
from engine.core.incident import Incident
from engine.core.parameters import Arguments, check_parameters
from engine.core.plan import Plan, PlannedStart
from engine.core.planning import trigger_limits
from engine.core.scopes import policy_facts
from engine.core.severity import Mode, ModeLimit, effective_mode
from engine.core.trigger import created_run

# Of one incident: then a person is needed, whatever its playbooks say.
MAX_RUNS = 3
_FAILURES = frozenset({"failed", "partial", "unknown"})


def with_follower(
    ended: events.RunEnded, plan: Plan | None, incident: Incident, catalog: Catalog
) -> Sequence[events.Event]:
    """The end of a run with this plan, and the run that follows it, if any.

    `incident` is as before the end. Where none can follow the end's reason says why.
    """
    start = plan.on_failure if plan is not None else None
    is_over = ended.outcome not in _FAILURES or incident.status != "open"
    if plan is None or start is None or is_over:
        return (ended,)
    arguments = _arguments(start, incident, catalog)
    if arguments.problems:
        told = f"{ended.reason}; {start.playbook} does not follow: {'; '.join(arguments.problems)}"
        return (ended.model_copy(update={"reason": told}),)
    playbook = catalog.playbooks[start.playbook]
    own = policy_facts(incident)
    limits = [ModeLimit(incident.mode, "the incident's rule")]
    limits += trigger_limits(playbook, own, catalog.inventory, catalog.policy)
    if ended.outcome == "unknown":
        limits.append(ModeLimit(Mode.APPROVE, "nobody knows what the run before did"))
    mode = effective_mode(limits)
    run = created_run(incident.id, incident.rule_id, playbook, mode, incident.runs + 1)
    reason = f"the run of {plan.playbook_id} before ended {ended.outcome}"
    return (ended, run.model_copy(update={"parameters": arguments.values, "reason": reason}))


def _arguments(start: PlannedStart, incident: Incident, catalog: Catalog) -> Arguments:
    if incident.runs >= MAX_RUNS:
        return Arguments(problems=(f"the incident had {incident.runs} runs already",))
    playbook = catalog.playbooks.get(start.playbook)
    if playbook is None:
        return Arguments(problems=("there is no such playbook any more",))
    return check_parameters(playbook.parameters, start.parameters, catalog.inventory)
