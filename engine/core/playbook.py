"""A playbook made ready: its steps with compiled inputs and conditions, and its own limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from engine.core.actions import Effect
from engine.core.documents import Guards
from engine.core.expressions import Expression
from engine.core.loops import Loop
from engine.core.parameters import TypedParameter
from engine.core.plan import OUTPUTS, PlanPhase
from engine.core.questions import Asking
from engine.core.rendering import Renderable
from engine.core.scopes import AFTER_FAILURE
from engine.core.severity import Mode, ModeLimit
from engine.core.starts import Start
from engine.core.templates import Template


@dataclass(frozen=True, slots=True)
class Step:
    """One checked step. `effects` are those that it can still have, as far as the text tells.

    `uses` is "" where it calls no action: it waits for `wait`, or has a `call` or `ask`. `loop` is
    the `foreach` that it stands in, `lane` the `parallel` and its branch. With `gives` it tells a
    caller what its playbook comes to.
    `connection` is "" where the target or the action's only connection decides. `rollback` undoes
    it, in order. `action_mode` is the most that its action allows.
    """

    phase: PlanPhase
    id: str
    description: str
    uses: str
    inputs: Mapping[str, Renderable]
    effects: frozenset[Effect]
    connection: str
    timeout: timedelta
    action_mode: Mode
    condition: Expression | None = None
    retry_attempts: int = 1
    retry_wait: timedelta = timedelta(seconds=5)
    required: bool = True
    until: Expression | None = None
    within: timedelta = timedelta(0)
    every: timedelta = timedelta(seconds=5)
    stable_for: timedelta = timedelta(0)
    affects: tuple[Template | str, ...] | None = None
    rollback: tuple["Step", ...] = ()
    wait: timedelta = timedelta(0)
    loop: Loop | None = None
    lane: tuple[str, str] | None = None
    call: "Call | None" = None
    ask: Asking | None = None
    gives: Mapping[str, Template | str] = field(default_factory=dict)

    @property
    def may_change(self) -> bool:
        """Whether it can do more than read."""
        return self.effects != {Effect.READ}

    @property
    def runs_after_failure(self) -> bool:
        """Whether its `if` asks for a failure, so that one before doesn't skip it."""
        return self.condition is not None and self.condition.calls(AFTER_FAILURE)


@dataclass(frozen=True, slots=True)
class Call:
    """The playbook whose steps stand in a step's place, and what its parameters are given."""

    playbook: "Playbook"
    parameters: Mapping[str, Renderable]


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who is asked, how many must agree, how long the answer counts; `always` asks in auto too."""

    ask: tuple[str, ...]
    quorum: int
    expires: timedelta
    on_expiry: Literal["escalate", "cancel"]
    always: bool


@dataclass(frozen=True, slots=True)
class Revert:
    """So long after its success a run is taken back, once `when` holds, if there is one."""

    after: timedelta
    when: Expression | None


@dataclass(frozen=True, slots=True)
class Playbook:
    """One playbook, ready to be rendered into plans. `text_hash` is the SHA-256 of its file.

    `group` is the service of its blast radius, None without one, and `healthy` what it requires;
    `guard_reads` are looked at right before the first change, for guards that ask outside. From a
    run's first attempt to the end of its verification may pass no more than `deadline`. `caps` are
    limits of the mode from outside its own words. `keep` is why the change of a temporary remedy
    stays, "" where nothing says so. `outputs` are what its results come to.
    """

    id: str
    description: str
    text_hash: str
    max_mode: Mode
    parameters: Mapping[str, TypedParameter]
    guards: Guards
    group: Template | str | None
    healthy: tuple[Template | str, ...]
    guard_reads: tuple[Step, ...]
    approval: ApprovalPolicy
    deadline: timedelta
    investigate: tuple[Step, ...]
    steps: tuple[Step, ...]
    verify: tuple[Step, ...]
    on_cancel: tuple[Step, ...] = ()
    on_failure: Start | None = None
    revert: Revert | None = None
    is_temporary: bool = False
    keep: str = ""
    outputs: Mapping[str, Template | str] = field(default_factory=dict)
    caps: tuple[ModeLimit, ...] = ()
    _by_id: Mapping[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {step.id: step for step in reversed(self.all_steps)})

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """Every step of every part, rollback too."""
        undoing = (undo for step in self.steps for undo in step.rollback)
        reads = (*self.investigate, *self.guard_reads)
        return (*reads, *self.steps, *self.verify, *undoing, *self.on_cancel)

    @property
    def step_ids(self) -> frozenset[str]:
        """The ids of all of them, and behind that of a call those of the playbook it calls."""
        inner = {
            f"{step.id}/{each}"
            for step in self.steps
            if step.call is not None
            for each in step.call.playbook.step_ids
        }
        return frozenset(step.id for step in self.all_steps) | inner

    def step(self, step_id: str) -> Step:
        """The step of this id, of whichever part: ids are unique. Raises KeyError.

        Behind the id of a call and a slash stands one of the called playbook.
        """
        own, _, inner = step_id.partition("/")
        if own == OUTPUTS:
            return self.giving
        step = self._by_id[own]
        return step.call.playbook.step(inner) if step.call and inner else step

    @property
    def giving(self) -> Step:
        """What stands behind its steps where it is called, and gives its outputs."""
        return Step(
            phase="steps",
            id=OUTPUTS,
            description="",
            uses="",
            inputs={},
            effects=frozenset({Effect.READ}),
            connection="",
            timeout=timedelta(0),
            action_mode=Mode.AUTO,
            gives=self.outputs,
        )

    @property
    def called(self) -> Mapping[str, "Playbook"]:
        """Every playbook that it calls, and those that they call, by id."""
        found: dict[str, Playbook] = {}
        for step in self.steps:
            if step.call is not None:
                found[step.call.playbook.id] = step.call.playbook
                found.update(step.call.playbook.called)
        return found

    @property
    def called_texts(self) -> Mapping[str, str]:
        """The SHA-256 of the text of each of those."""
        return {name: each.text_hash for name, each in self.called.items()}

    @property
    def chain(self) -> tuple[str, ...]:
        """The longest row of calls that begins with it."""
        callees = (step.call.playbook.chain for step in self.steps if step.call is not None)
        return (self.id, *max(callees, key=len, default=()))

    @property
    def calls(self) -> tuple[Step, ...]:
        """Those of its steps that call an action."""
        return tuple(step for step in self.all_steps if step.uses)

    @property
    def effects(self) -> frozenset[Effect]:
        """Everything that a run of it can do, as far as the text tells."""
        every = (self, *self.called.values())
        return frozenset(e for each in every for step in each.calls for e in step.effects)

    @property
    def declares(self) -> frozenset[str]:
        """The guards that it has, by their words."""
        every = (self, *self.called.values())
        return frozenset(name for p in every for name in p.guards.model_dump(exclude_none=True))

    def mode_limits(self) -> tuple[ModeLimit, ...]:
        """What the playbook and its actions allow at most, each with who says so."""
        limits = [ModeLimit(self.max_mode, f"playbook {self.id} (max_mode)")]
        limits += [ModeLimit(step.action_mode, f"action {step.uses}") for step in self.calls]
        limits += [limit for each in self.called.values() for limit in each.mode_limits()]
        limits += self.caps
        if self.approval.quorum > 1:
            limits.append(
                ModeLimit(
                    Mode.SUGGEST,
                    f"playbook {self.id} needs {self.approval.quorum} approvals, "
                    "and this version asks one person",
                )
            )
        return tuple(limits)
