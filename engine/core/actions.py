"""Actions as values: what one declares, what follows from its inputs, what a call of it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from engine.core.documents import Argument, CommandDocument, TargetDocument
from engine.core.expressions import ValueType
from engine.core.json_value import Json, JsonObject


class Effect(Enum):
    """What an action does to the world; order is from harmless to final."""

    READ = "read"
    CHANGE = "change"
    DESTROY = "destroy"


class Repeat(Enum):
    """Whether an attempt with an unknown outcome may be made again."""

    HARMLESS = "harmless"
    KEYED = "keyed"
    PROBE = "probe"
    NEVER = "never"


class ProbeAnswer(Enum):
    """What a look after an unknown outcome found; only NOT_DONE allows a repeat."""

    DONE = "done"
    NOT_DONE = "not_done"
    IN_PROGRESS = "in_progress"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Input:
    """One declared input of an action.

    `names` lets the catalog check a constant value: the id of a target, a command of commands.yaml,
    or that command's arguments. `form` says what values of the type fit. `example` is one that
    fits, for drafts. Texts of an input that `takes_secrets` may hold references to secrets: the
    plan has them as they are, and the payload of a call has the secrets in their place.
    """

    type: ValueType
    required: bool = True
    description: str = ""
    names: Literal["", "target", "command", "arguments"] = ""
    form: Argument | None = None
    example: Json = None
    takes_secrets: bool = False


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the catalog needs to know of an action to check a playbook without running it.

    `outputs` is the shape of `result` in `until` and of `steps.<id>` elsewhere (flat names).
    `connection_kind` is the `uses` of the connections that it can work through, "" for none.
    `effects` are all that it can have; the rendered inputs decide which. `permits` is what those
    who let quell in must grant: `host_commands` follows from `host`, `command` and `args`.
    """

    name: str
    version: int
    description: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, ValueType]
    effects: frozenset[Effect]
    connection_kind: str = ""
    permits: Literal["unknown", "host_commands"] = "unknown"
    max_mode: Literal["observe", "suggest", "approve", "auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Estate:
    """The operators' part of the catalog that actions resolve their inputs against.

    Keys: command name, target id, connection name → its `uses`.
    """

    commands: Mapping[str, CommandDocument]
    targets: Mapping[str, TargetDocument]
    connections: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What follows from an action's rendered inputs; part of the plan and of its hash.

    `payload` is all that the call needs, in JSON. `description` is for people: the exact
    command or request. `targets` are inventory ids. `secrets` are the names of those that the
    payload refers to; the planner knows them, not the action.
    """

    effect: Effect
    repeat: Repeat
    connection: str
    targets: tuple[str, ...]
    description: str
    payload: JsonObject
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a prepared action, for a step of its plan. `attempt_id` is the idempotency key.

    The action bounds its own effect: `timeout_s` after the start nothing of it may be under way.
    """

    prepared: Prepared
    attempt_id: str
    timeout_s: float
    step_id: str = ""

    @property
    def bound_s(self) -> float:
        """What an action gives its own sockets: a little less, so that its own bound ends it."""
        return self.timeout_s - min(1.0, 0.1 * self.timeout_s)


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave: `outputs` as declared, `evidence` for people (bounded text).

    An ended command with a bad exit code is a result with `succeeded` False; what could not be
    begun, or whose end is unknown, is raised as an error instead.
    """

    succeeded: bool
    outputs: Mapping[str, Json] = field(default_factory=dict)
    evidence: str = ""
    error: str = ""
