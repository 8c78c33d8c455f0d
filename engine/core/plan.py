"""The plan: a playbook rendered for one run, frozen, and the hash that an approval covers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from engine.core.ids import derived_id, sha256_hex
from engine.core.json_value import canonical_bytes

PlanPhase = Literal["investigate", "guards", "steps", "verify", "rollback", "on_cancel"]

# Their steps never change anything.
READS_ONLY = frozenset({"investigate", "guards", "verify"})

# What the `uses` of a step says that calls no action; the last is the id of such a step too.
WAIT, CALL, ASK, OUTPUTS = "wait", "call", "ask", "outputs"

# What a person's cancellation doesn't end, but begins.
AFTER_CANCEL = frozenset({"on_cancel", "rollback"})


class Place(BaseModel):
    """Where a step stands that `foreach` or `call` brought into the plan.

    `origin` leads to it in the texts. `item` is "" for what a batch does once. `batch` names the
    outermost loop's batch, in the whole plan. `names` are what its expressions see beside what all
    see. `frame` begins the ids of the steps of its call, with its
    `parameters`; `gate` is the step whose `if` decides whether these are done. `lanes` are the
    (group, lane) that it is in, outermost first: the lanes of a group are done side by side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str
    loop: str = ""
    item: str = ""
    batch: str = ""
    stop_after: int = 0
    names: dict[str, JsonValue] = {}
    frame: str = ""
    parameters: dict[str, JsonValue] | None = None
    gate: str = ""
    lanes: tuple[tuple[str, str], ...] = ()


class PlannedQuestion(BaseModel):
    """What a step between others asks people; the roles of `ask` may answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    choices: tuple[str, ...]
    ask: tuple[str, ...]
    expires_s: float


class PlannedStep(BaseModel):
    """One step with everything that the execution uses: nothing is looked up again later.

    `condition` and `until` stay expressions because they look at outcomes. `undoes` names the
    step that a rollback step belongs to. `affects` are the targets that it may make unavailable,
    None where these are its `targets`, on which it acts. Durations are in seconds. With `wait_s` it
    calls nothing and lets so much time pass. `secrets` are the names of those that its payload
    refers to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: PlanPhase
    id: str
    uses: str
    action_version: int
    connection: str
    targets: tuple[str, ...]
    payload: dict[str, JsonValue]
    secrets: tuple[str, ...] = ()
    effect: Literal["read", "change", "destroy"]
    repeat: Literal["harmless", "keyed", "probe", "never"]
    description: str
    timeout_s: float
    required: bool = True
    condition: str = ""
    retry_attempts: int = 1
    retry_wait_s: float = 5.0
    until: str = ""
    within_s: float = 0.0
    every_s: float = 5.0
    stable_for_s: float = 0.0
    wait_s: float = 0.0
    question: PlannedQuestion | None = None
    undoes: str = ""
    affects: tuple[str, ...] | None = None
    place: Place | None = None

    @property
    def may_lose(self) -> tuple[str, ...]:
        """The targets that may be unavailable because of it."""
        return self.targets if self.affects is None else self.affects

    @property
    def reaches(self) -> tuple[str, ...]:
        """These and those on which it acts."""
        return tuple(dict.fromkeys((*self.targets, *self.may_lose)))

    @property
    def origin(self) -> str:
        """The id by which the playbook's text has it."""
        return self.place.origin if self.place is not None else self.id

    @property
    def batch(self) -> str:
        """The batch that it is of, "" outside of loops."""
        return self.place.batch if self.place is not None else ""

    @property
    def lanes(self) -> tuple[tuple[str, str], ...]:
        """What it is done side by side in, outermost first; () where it is alone."""
        return self.place.lanes if self.place is not None else ()

    @property
    def told(self) -> str:
        """What it does, for people, and beside what."""
        where = "/".join(name for lane in self.lanes for name in lane)
        return f"{self.description} [at once: {where}]" if where else self.description

    @property
    def changes(self) -> bool:
        """Whether it does more than read."""
        return self.effect != "read"


class PlannedStart(BaseModel):
    """A playbook that would follow, and what would be given to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    playbook: str
    parameters: dict[str, JsonValue]


class CalledPlaybook(BaseModel):
    """A playbook whose steps are part of a plan, and its guards, which hold beside the plan's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    text_hash: str
    guards: dict[str, JsonValue]


class Plan(BaseModel):
    """What a run may do at most; execution may skip, never add or alter.

    `source_confirms`: without a person, only while the source itself says that it still fires.
    `deadline_s` counts from the first attempt, `revert_after_s` from its success. `keep` is why a
    temporary change stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    revision: int
    playbook_id: str
    playbook_hash: str
    parameters: dict[str, JsonValue]
    guards: dict[str, JsonValue]
    approval_from: tuple[str, ...]
    approval_quorum: int
    approval_expires_s: float
    always_ask: bool
    source_confirms: bool
    on_expiry: Literal["escalate", "cancel"]
    # Plans of older versions have none.
    deadline_s: float | None = None
    on_failure: PlannedStart | None = None
    revert_after_s: float | None = None
    keep: str = ""
    called: tuple[CalledPlaybook, ...] = ()
    steps: tuple[PlannedStep, ...]

    @property
    def guarded(self) -> tuple["Plan", ...]:
        """This plan as each set of its guards sees it: its own, and those of what it calls.

        What a called playbook's guards count are runs of either.
        """
        found = [self]
        for each in self.called:
            with_guards = {"guards": each.guards, "called": ()}
            found.append(self.model_copy(update=with_guards))
            found.append(self.model_copy(update={**with_guards, "playbook_id": each.id}))
        return tuple(found)

    @property
    def changed_targets(self) -> tuple[str, ...]:
        """Every target that it may change or affect, sorted; ("",) where none of them is known."""
        found = {target for step in self.steps if step.changes for target in step.reaches}
        return tuple(sorted(found)) or ("",)

    def to_bytes(self) -> bytes:
        """The canonical bytes that are stored and hashed."""
        return canonical_bytes(self.model_dump(mode="json"))

    def of(self, *phases: PlanPhase) -> tuple[PlannedStep, ...]:
        """The steps of these phases, in order."""
        return tuple(step for step in self.steps if step.phase in phases)

    def step(self, phase: PlanPhase, step_id: str) -> PlannedStep:
        """The step of this id; raises KeyError."""
        for step in self.steps:
            if step.phase == phase and step.id == step_id:
                return step
        raise KeyError((phase, step_id))


def plan_hash(stored: bytes) -> str:
    """SHA-256 over the stored bytes of a plan."""
    return sha256_hex(stored)


def approval_id(run_id: str, revision: int) -> str:
    """Derived: one request for approval a plan."""
    return derived_id("approval", run_id, str(revision))


def attempt_id(run_id: str, phase: str, step_id: str, number: int) -> str:
    """Derived: the idempotency key of an attempt."""
    return derived_id("attempt", run_id, phase, step_id, str(number))


def run_id(incident: str, rule_id: str, attempt: int) -> str:
    """Derived from the trigger, so that a trigger starts at most one run."""
    return derived_id("run", incident, rule_id, str(attempt))
