"""A playbook rendered for one run: every command exact before anybody is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pydantic import JsonValue

from engine.core.actions import Declaration, Effect, Estate, Prepared
from engine.core.catalog import Catalog
from engine.core.durations import format_duration
from engine.core.expansion import Hole, Placed, expand
from engine.core.expressions import Bindings, ExpressionFailedError
from engine.core.findings import nearest
from engine.core.incident import Incident
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.masking import MARK, NO_SECRETS, Masker
from engine.core.plan import (
    ASK,
    CALL,
    OUTPUTS,
    READS_ONLY,
    WAIT,
    CalledPlaybook,
    Plan,
    PlannedStart,
    PlannedStep,
)
from engine.core.planned_secrets import secrets_of
from engine.core.playbook import Playbook, Step
from engine.core.policy import Policy, policy_limits
from engine.core.questions import planned_question
from engine.core.rendering import render
from engine.core.scopes import Known, policy_facts
from engine.core.severity import ModeLimit
from engine.errors import PermanentError, QuellError

# It stands whole in one entry of the journal, and before people who approve it.
MAX_PLAN_BYTES = 256 * 1024


class Prepares(Protocol):
    """The pure half of an action."""

    @property
    def declaration(self) -> Declaration:
        """What it declares."""
        ...

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """What follows from rendered inputs. Raises PermanentError."""
        ...


class PlanError(QuellError):
    """No plan can be made; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A plan, what limits its mode, and the steps that could not be rendered (observe only)."""

    plan: Plan
    limits: tuple[ModeLimit, ...]
    holes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planner:
    """Renders playbooks against one catalog version; a plan may hold nothing that is masked."""

    catalog: Catalog
    actions: Mapping[str, Prepares]
    masker: Masker = NO_SECRETS

    def render(
        self, playbook: Playbook, run_id: str, known: Known, *, with_holes: bool = False
    ) -> Rendered:
        """The plan of a run. Raises PlanError where a step can't be rendered.

        With `with_holes` such a step is left out and named instead: in observe nothing was
        investigated.
        """
        planned: list[PlannedStep] = []
        holes: list[str] = []

        def lacking(where: str, error: QuellError) -> None:
            problem = PlanError(f"{where}: {error}")
            if not with_holes:
                raise problem from error
            holes.append(str(problem))

        expansion = expand(playbook, known, lacking)
        for placed in expansion.steps:
            try:
                planned.append(self.place(placed))
            except PlanError as error:
                if not with_holes:
                    raise
                holes.append(str(error))
        called: list[CalledPlaybook] = []
        for each, seen in expansion.calls:
            its = CalledPlaybook(
                id=each.id, text_hash=each.text_hash, guards=_guards(each, seen, lacking)
            )
            if its not in called:
                called.append(its)
        approval = playbook.approval
        plan = Plan(
            run_id=run_id,
            revision=1,
            playbook_id=playbook.id,
            playbook_hash=playbook.text_hash,
            parameters=dict(known.parameters),
            guards=_guards(playbook, known, lacking),
            approval_from=approval.ask,
            approval_quorum=approval.quorum,
            approval_expires_s=approval.expires.total_seconds(),
            always_ask=any(each.approval.always for each in (playbook, *playbook.called.values())),
            source_confirms=self.catalog.policy.source_confirms,
            on_expiry=approval.on_expiry,
            deadline_s=playbook.deadline.total_seconds(),
            revert_after_s=playbook.revert.after.total_seconds() if playbook.revert else None,
            keep=playbook.keep,
            on_failure=_follower(playbook, known, lacking),
            called=tuple(called),
            steps=tuple(planned),
        )
        size = len(plan.to_bytes())
        if size > MAX_PLAN_BYTES:
            raise PlanError(
                f"it takes {size} bytes, and {MAX_PLAN_BYTES} is the most: nobody can read what "
                "they would approve; make the playbook's inputs smaller"
            )
        return Rendered(plan, self._limits(playbook, plan, known), tuple(holes))

    def place(self, placed: Placed) -> PlannedStep:
        """One step at its place in the plan. Raises PlanError."""
        step = replace(placed.step, id=placed.id)
        if step.uses:
            planned = self.prepare(step, placed.known)
        else:
            planned = _without_action(step, placed.known)
            self._refuse_secrets(planned)
        return planned.model_copy(update={"undoes": placed.undoes, "place": placed.place})

    def prepare(self, step: Step, known: Known) -> PlannedStep:
        """One step with its inputs rendered. Raises PlanError."""
        action = self.actions[step.uses]
        try:
            bindings = known.bindings()
            inputs = {name: render(value, bindings) for name, value in step.inputs.items()}
            secrets = secrets_of(step.inputs, inputs, bindings)
            prepared = action.prepare(inputs, self.catalog.estate, step.connection or None)
        except (ExpressionFailedError, PermanentError) as error:
            raise PlanError(f"step {step.id}: {error}") from error
        looks = step.phase in READS_ONLY or step.until is not None
        if looks and prepared.effect is not Effect.READ:
            who = step.phase if step.phase in READS_ONLY else "what has `until`"
            raise PlanError(f"step {step.id}: {who} only reads, and this is a change")
        planned = PlannedStep(
            phase=step.phase,
            id=step.id,
            uses=step.uses,
            affects=self._affected(step, bindings),
            action_version=action.declaration.version,
            connection=prepared.connection,
            targets=prepared.targets,
            payload=dict(prepared.payload),
            secrets=secrets,
            effect=prepared.effect.value,
            repeat=prepared.repeat.value,
            description=prepared.description,
            timeout_s=step.timeout.total_seconds(),
            required=step.required,
            condition=step.condition.text if step.condition else "",
            retry_attempts=step.retry_attempts,
            retry_wait_s=step.retry_wait.total_seconds(),
            until=step.until.text if step.until else "",
            within_s=step.within.total_seconds(),
            every_s=step.every.total_seconds(),
            stable_for_s=step.stable_for.total_seconds(),
        )
        self._refuse_secrets(planned)
        return planned

    def _affected(self, step: Step, bindings: Bindings) -> tuple[str, ...] | None:
        if step.affects is None:
            return None
        try:
            found = [str(render(each, bindings)) for each in step.affects]
        except ExpressionFailedError as error:
            raise PlanError(f"step {step.id}: affects: {error}") from error
        known = self.catalog.inventory.targets
        for target in found:
            if target not in known:
                hint = nearest(target, known)
                raise PlanError(f"step {step.id}: it affects {target!r}, which is no target{hint}")
        return tuple(dict.fromkeys(found))

    def _refuse_secrets(self, step: PlannedStep) -> None:
        """A plan is kept, shown and hashed as it runs, so it can't be masked afterwards."""
        text = step.model_dump_json()
        if name := self.masker.found(text):
            raise PlanError(
                f"step {step.id}: it holds the secret {name}; a plan is kept and shown, so no "
                "secret may be a part of it"
            )
        if MARK in text:
            raise PlanError(
                f"step {step.id}: it holds {MARK}…], where an alert or an output showed a secret: "
                "what would run isn't what was meant"
            )

    def _limits(self, playbook: Playbook, plan: Plan, known: Known) -> tuple[ModeLimit, ...]:
        changing = [step for step in plan.steps if step.changes]
        subjects = subjects_of_plan(plan, known.incident, known.inventory)
        effects = frozenset(Effect(step.effect) for step in changing)
        limits = policy_limits(self.catalog.policy, subjects, effects, playbook.declares)
        return (*playbook.mode_limits(), *limits)


def _without_action(step: Step, known: Known) -> PlannedStep:
    uses, what, question = WAIT, f"wait {format_duration(step.wait)}", None
    if step.call is not None:
        uses, what = CALL, f"call {step.call.playbook.id}"
    elif step.ask is not None:
        try:
            text = str(render(step.ask.question, known.bindings()))
        except ExpressionFailedError as error:
            raise PlanError(f"step {step.id}: {error}") from error
        uses, what = ASK, f"ask {', '.join(step.ask.ask)}: {text} ({', '.join(step.ask.choices)})"
        question = planned_question(step.ask, text)
    elif step.gives:
        uses, what = OUTPUTS, f"gives {', '.join(step.gives)}"
    return PlannedStep(
        phase=step.phase,
        id=step.id,
        uses=uses,
        action_version=0,
        connection="",
        targets=(),
        payload={},
        effect="read",
        repeat="harmless",
        description=what,
        timeout_s=0,
        condition=step.condition.text if step.condition else "",
        wait_s=step.wait.total_seconds(),
        required=step.required,
        question=question,
    )


def _guards(playbook: Playbook, known: Known, lacking: Hole) -> dict[str, JsonValue]:
    """As the plan keeps them: with the names that their expressions give."""
    guards = playbook.guards
    if guards.requires is not None:
        try:
            healthy = [str(render(each, known.bindings())) for each in playbook.healthy]
        except ExpressionFailedError as error:
            lacking("guards: requires", error)
            return {}
        requires = guards.requires.model_copy(update={"healthy": tuple(healthy)})
        guards = guards.model_copy(update={"requires": requires})
    if guards.blast_radius is not None:
        try:
            group = str(render(playbook.group, known.bindings()))
        except ExpressionFailedError as error:
            lacking("guards: blast_radius", error)
            return {}
        radius = guards.blast_radius.model_copy(update={"group": group})
        guards = guards.model_copy(update={"blast_radius": radius})
    return guards.model_dump(mode="json", by_alias=True, exclude_none=True)


def _follower(playbook: Playbook, known: Known, lacking: Hole) -> PlannedStart | None:
    start = playbook.on_failure
    if start is None:
        return None
    try:
        given = start.render_arguments(known.bindings())
    except ExpressionFailedError as error:
        lacking("on_failure", error)
        return None
    return PlannedStart(playbook=start.playbook, parameters=dict(given))


def subjects_of(
    own: Mapping[str, str], targets: Sequence[str], inventory: Inventory
) -> list[Mapping[str, str]]:
    """What policy asks about: the incident's or alert's own facts, and each target's."""
    return [own, *(inventory.facts_of(target) for target in dict.fromkeys(targets))]


def subjects_of_plan(
    plan: Plan, incident: Incident, inventory: Inventory
) -> list[Mapping[str, str]]:
    """What policy asks about a plan: the incident's own facts, and those of what it changes."""
    own = policy_facts(incident)
    targets = [target for step in plan.steps if step.changes for target in step.reaches]
    return subjects_of(own, targets, inventory)


def trigger_limits(
    playbook: Playbook, own: Mapping[str, str], inventory: Inventory, policy: Policy
) -> tuple[ModeLimit, ...]:
    """What is known to limit the mode before there is a plan."""
    return (
        *playbook.mode_limits(),
        *policy_limits(
            policy, subjects_of(own, (), inventory), playbook.effects, playbook.declares
        ),
    )
