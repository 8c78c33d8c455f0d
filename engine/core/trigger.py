"""Whether and how an incident starts a run: the trigger, its parameters, its effective mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.core import events
from engine.core.alert import Alert, Occurrence
from engine.core.bounds import cut, size_of
from engine.core.catalog import Catalog
from engine.core.classify import Match
from engine.core.events.event import BRIEF_LIMIT
from engine.core.expressions import ExpressionFailedError
from engine.core.findings import nearest
from engine.core.ids import derived_id
from engine.core.incident import BY_HAND, Incident, correlation_key, incident_id
from engine.core.json_value import Json
from engine.core.parameters import MAX_VALUES_BYTES, Arguments, check_parameters
from engine.core.plan import run_id
from engine.core.planning import trigger_limits
from engine.core.playbook import Playbook
from engine.core.scopes import alert_bindings, policy_facts
from engine.core.severity import DRY_RUN, Mode, ModeLimit, effective_mode
from engine.errors import NotFoundError, PermanentError

# A trigger that is older when it is decided asks a person.
STALE_AFTER = timedelta(minutes=15)


def trigger_key(incident: str, rule: str, attempt: int) -> str:
    """Unique in the store: at most one run follows from it."""
    return derived_id("trigger", incident, rule, str(attempt))


def opened_by(
    match: Match,
    occurrence: Occurrence,
    number: int,
    *,
    decided_at: str = "",
    explained_by: tuple[str, ...] = (),
    previous: str = "",
) -> events.IncidentOpened:
    """What a new incident's chain begins with, where a rule took this occurrence's alert."""
    alert, key = occurrence.alert, correlation_key(match.rule.id, match.group)
    return events.IncidentOpened(
        incident_id=incident_id(key, occurrence.id, previous),
        number=number,
        correlation_key=key,
        partition_key=occurrence.partition_key,
        rule_id=match.rule.id,
        severity=match.severity.name,
        title=alert.annotations.get("summary")
        or f"{alert.name or 'an alert without a name'} on {_place_of(alert)}",
        mode=match.mode.mode.value,
        service=alert.service,
        environment=alert.environment,
        team=alert.team,
        group=match.group,
        notify=match.rule.notify,
        # Observing reaches nobody: no message, and no ticket either.
        postmortem=match.severity in match.rule.postmortem and match.mode.mode is not Mode.OBSERVE,
        reasons=match.reasons,
        decided_at=decided_at,
        explained_by=explained_by,
        previous_id=previous,
    )


def _place_of(alert: Alert) -> str:
    return alert.service or alert.target or alert.resource or alert.source


def first_run(
    incident: Incident,
    match: Match,
    alert: Alert,
    catalog: Catalog,
    waited: timedelta = timedelta(0),
) -> Sequence[events.Event]:
    """What a new incident's chain says of its run; empty where its rule starts no playbook.

    Parameters that don't fit end the run before anything is done, with the reason: a rule whose
    playbook can't start is never silent. `waited` is how old the decision's record is by now:
    after a long outage nobody should find that things were changed for what was hours ago.
    """
    if not match.rule.playbook:
        return ()
    playbook = catalog.playbooks[match.rule.playbook]
    bindings = alert_bindings(alert)
    try:
        given = match.rule.render_arguments(bindings)
        arguments = check_parameters(playbook.parameters, given, catalog.inventory, bindings)
    except ExpressionFailedError as error:
        given, arguments = {}, Arguments({}, (str(error),))
    own = policy_facts(alert)
    limits = trigger_limits(playbook, own, catalog.inventory, catalog.policy)
    if waited > STALE_AFTER:
        said = f"it was decided {waited // timedelta(minutes=1)} min late"
        limits = (*limits, ModeLimit(Mode.APPROVE, said))
    mode = effective_mode((match.mode, *limits))
    created = created_run(incident.id, match.rule.id, playbook, mode)
    shown = arguments.values or (given if size_of(given) <= MAX_VALUES_BYTES else {})
    reason = cut("; ".join(match.reasons), BRIEF_LIMIT)
    created = created.model_copy(update={"parameters": shown, "reason": reason})
    if not arguments.problems:
        return (created,)
    reason = f"playbook {playbook.id} can't start: {'; '.join(arguments.problems)}"
    observing = mode.mode is Mode.OBSERVE
    ended = events.RunEnded(
        run_id=created.run_id,
        outcome="skipped" if observing else "failed",
        reason=f"observe: {reason}" if observing else reason,
        changed=False,
    )
    return (created, ended)


@dataclass(frozen=True, slots=True)
class OrderedRun:
    """A person's order of a run; `id` tells it from every other. A dry run changes nothing."""

    id: str
    playbook_id: str
    parameters: Mapping[str, Json]
    dry_run: bool = False

    @property
    def mode(self) -> ModeLimit:
        """The most that it may do."""
        return DRY_RUN if self.dry_run else ModeLimit(Mode.APPROVE, "a run by hand")


def run_by_hand(
    order: OrderedRun, number: int, catalog: Catalog
) -> tuple[events.IncidentOpened, Sequence[events.Event]]:
    """The incident, which gets this number, and the run of a person's order.

    Raises NotFoundError for an unknown playbook and PermanentError for wrong parameters.
    """
    playbook = catalog.playbooks.get(order.playbook_id)
    if playbook is None:
        hint = nearest(order.playbook_id, catalog.playbooks)
        raise NotFoundError(f"there is no playbook {order.playbook_id!r}{hint}")
    arguments = check_parameters(playbook.parameters, order.parameters, catalog.inventory)
    if arguments.problems:
        raise PermanentError(f"playbook {playbook.id}: {'; '.join(arguments.problems)}")
    group = {"order": order.id}
    key = correlation_key(BY_HAND, group)
    mode = effective_mode((order.mode, *playbook.mode_limits()))
    opened = events.IncidentOpened(
        incident_id=incident_id(key, order.id),
        number=number,
        correlation_key=key,
        partition_key=order.id,
        rule_id=BY_HAND,
        severity="P3",
        title=f"{playbook.id}, a dry run" if order.dry_run else f"{playbook.id} by hand",
        mode=mode.mode.value,
        group=group,
        notify=("team",),
    )
    created = created_run(opened.incident_id, BY_HAND, playbook, mode)
    return opened, (
        created.model_copy(update={"parameters": arguments.values, "reason": "a person's order"}),
    )


def created_run(
    incident: str, rule: str, playbook: Playbook, mode: ModeLimit, attempt: int = 1
) -> events.RunCreated:
    """The first entry of an incident's run number `attempt`, without its parameters."""
    return events.RunCreated(
        run_id=run_id(incident, rule, attempt),
        trigger=trigger_key(incident, rule, attempt),
        attempt=attempt,
        playbook_id=playbook.id,
        playbook_hash=playbook.text_hash,
        parameters={},
        mode=mode.mode.value,
        mode_decided_by=mode.decided_by,
        reason="",
        called=playbook.called_texts,
    )
