"""What authors write, as models: playbooks, commands, inventory (language 1).

Expressions, templates, durations and matchers are texts here; the catalog compiles them and
reports every mistake with its line and column.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from engine.core.secret_references import NAME

# Of a list parameter, and of what a `foreach` goes through: a plan shows all of it.
MAX_ITEMS = 200

# Words of CEL that can't stand behind a dot.
_RESERVED = frozenset({"in", "true", "false", "null"})


def _nameable(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"{name!r} is a word of expressions; choose another name")
    return name


def _with_unit(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{value} has no unit; write it like '{value}s'")
    return value


def _as_written(value: object) -> object:
    if isinstance(value, bool | float):
        raise ValueError(f"write 1 here, not {value!r}")
    return value


_ID, _NAME = r"^[a-z0-9][a-z0-9-]{0,62}$", r"^[a-z][a-z0-9_]{0,40}$"
_SECRET_NAME = f"^{NAME}$"
_TARGET_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
# What the patterns of names say, for people.
FORMS: Mapping[str, str] = {
    _ID: "lower case letters, digits and '-', at most 63",
    _NAME: "lower case letters, digits and '_', a letter first, at most 41",
    _SECRET_NAME: "lower case letters, digits, '_' and '-', at most 63",
    _TARGET_ID: "letters, digits, '.', '_' and '-', at most 128",
}

Language = Annotated[Literal[1], BeforeValidator(_as_written)]
Id = Annotated[str, Field(pattern=_ID)]
Name = Annotated[str, Field(pattern=_NAME), AfterValidator(_nameable)]
ModeName = Literal["observe", "suggest", "approve", "auto"]
TargetId = Annotated[str, Field(pattern=_TARGET_ID)]
SecretName = Annotated[str, Field(pattern=_SECRET_NAME)]
Format = Literal["host", "port", "address", "path", "path_segment", "url"]
SeverityName = Literal["P1", "P2", "P3", "P4"]
Duration = Annotated[
    str,
    Field(description="a Prometheus duration: 30s, 5m, 1h30m"),
    BeforeValidator(_with_unit),
]
Expression = Annotated[str, Field(description="bare CEL")]


class Document(BaseModel):
    """Root of all models of this file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Items(Document):
    """What each item of a list is."""

    type: Literal["string", "number", "integer", "boolean", "enum", "target"]
    pattern: str | None = None
    format: Format | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    kind: str | None = None


class Parameter(Document):
    """A typed parameter; without `default` it is required. `default` may be a template."""

    type: Literal["string", "number", "integer", "boolean", "enum", "target", "list", "secret"]
    description: str = ""
    default: JsonValue = None
    pattern: str | None = None
    format: Format | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    kind: str | None = None
    items: Items | None = None
    min_items: Annotated[int, Field(ge=0, le=MAX_ITEMS)] | None = None
    max_items: Annotated[int, Field(ge=1, le=MAX_ITEMS)] | None = None


class Cooldown(Document):
    """No second run for the same thing within a time."""

    for_: Duration = Field(alias="for")
    per: Literal["target", "playbook", "rule"] = "target"


class Budget(Document):
    """At most so many runs within a time."""

    runs: int = Field(ge=1)
    within: Duration
    per: Literal["playbook", "rule", "target", "overall"] = "playbook"


class TargetLock(Document):
    """What a run keeps others from meanwhile, and what those do then."""

    per: Literal["target", "service"] = "target"
    on_busy: Literal["queue", "skip"] = "queue"


class Concurrency(Document):
    """At most so many runs at once."""

    max: int = Field(ge=1)
    per: Literal["playbook", "rule", "target", "service", "overall"] = "playbook"


class Breaker(Document):
    """After so many runs in a row that did not help, none until a person lets one try."""

    failures: int = Field(default=3, ge=1)
    per: Literal["playbook", "rule", "target"] = "playbook"


class Recurrence(Document):
    """The same remedy for the same target so often asks a person."""

    times: int = Field(default=3, ge=2)
    within: Duration = "1d"


class OthersAtWork(Document):
    """Who changed a target so lately that a person should look first."""

    within: Duration = "30m"


class Availability(Document):
    """PromQL that tells of each target whether it is unavailable."""

    query: str
    connection: str | None = None


class BlastRadius(Document):
    """How many targets of a service may be unavailable or touched at once."""

    group: str
    max_unavailable: Annotated[int, Field(ge=0)] | str
    unavailable: Availability | None = None


class Requires(Document):
    """What has to be healthy: services or targets of the inventory, and what a read tells."""

    healthy: tuple[str, ...] = Field(default=(), max_length=20)
    check: "StepDocument | None" = None
    otherwise: Literal["ask", "wait", "skip"] = "ask"


class ExpectedAlerts(Document):
    """Alerts of the targets that a run changes, which wait until it is over."""

    matchers: tuple[str, ...] = Field(min_length=1, max_length=20)
    after: Duration = "2m"


class Guards(Document):
    """What stops a change."""

    lock: TargetLock | None = None
    cooldown: Cooldown | None = None
    budget: Budget | None = None
    concurrency: Concurrency | None = None
    breaker: Breaker | None = None
    recurrence: Recurrence | None = None
    others_at_work: OthersAtWork | None = None
    requires: Requires | None = None
    blast_radius: BlastRadius | None = None
    expected_alerts: ExpectedAlerts | None = None


class Approval(Document):
    """Who is asked, how many must agree, how long it counts."""

    from_: tuple[str, ...] = Field(default=("role:oncall",), alias="from")
    quorum: int = Field(default=1, ge=1)
    expires: Duration = "10m"
    on_expiry: Literal["escalate", "cancel"] = "escalate"
    always: bool = False


class Retry(Document):
    """How often an attempt known not to have begun is repeated, and how long between."""

    attempts: int = Field(ge=1, le=10)
    wait: Duration = "5s"


class Foreach(Document):
    """The steps beside it, once for each item of a list that is fixed when the plan is made."""

    in_: str | tuple[JsonValue, ...] = Field(alias="in")
    as_: Name = Field(alias="as")
    serial: int | str | tuple[int | str, ...] = 1
    stop_after_failures: int = Field(default=1, ge=1)


class Ask(Document):
    """A question to people before the plan is made; the answer is `steps.<id>.answer`."""

    question: str = Field(min_length=1)
    choices: tuple[Annotated[str, Field(pattern=r"^[^\s][^\r\n]{0,99}$")], ...] = Field(
        min_length=2, max_length=20
    )
    from_: tuple[str, ...] = Field(default=("role:oncall",), alias="from", min_length=1)
    expires: Duration = "15m"


class StepDocument(Document):
    """One step of any part of a playbook."""

    id: Name
    description: str = ""
    uses: str | None = None
    wait: Duration | None = None
    call: Id | None = None
    ask: Ask | None = None
    foreach: Foreach | None = None
    parallel: Annotated[tuple["StepDocument", ...], Field(min_length=2, max_length=20)] | None = (
        None
    )
    steps: tuple["StepDocument", ...] = ()
    with_: Mapping[str, JsonValue] = Field(default={}, alias="with")
    connection: str | None = None
    affects: Annotated[tuple[str, ...], Field(max_length=20)] | None = None
    if_: Expression | None = Field(default=None, alias="if")
    timeout: Duration | None = None
    retry: Retry | None = None
    required: bool = True
    until: Expression | None = None
    within: Duration | None = None
    every: Duration | None = None
    stable_for: Duration | None = None
    rollback: Literal["none"] | tuple["StepDocument", ...] | None = None

    def all(self) -> Iterator["StepDocument"]:
        """Itself, and every step that stands inside of it."""
        yield self
        for each in (*self.steps, *(self.parallel or ())):
            yield from each.all()


class Follower(Document):
    """The playbook that a run which failed starts: a run of its own, with its own approval."""

    playbook: Id
    with_: Mapping[str, JsonValue] = Field(default={}, alias="with")


class Revert(Document):
    """A temporary remedy: its rollback is done some time after it helped."""

    after: Duration
    when: Expression | None = None


class PlaybookDocument(Document):
    """A file under playbooks/: a typed procedure with its proof."""

    language: Language
    id: Id
    description: str = Field(min_length=1)
    max_mode: ModeName = "approve"
    parameters: Mapping[Name, Parameter] = {}
    guards: Guards = Guards()
    approval: Approval = Approval()
    timeout: Duration = "5m"
    deadline: Duration = "1h"
    investigate: tuple[StepDocument, ...] = ()
    steps: tuple[StepDocument, ...]
    verify: tuple[StepDocument, ...]
    on_cancel: tuple[StepDocument, ...] = ()
    on_failure: Follower | None = None
    temporary: bool = False
    revert: Revert | None = None
    keep: str | None = Field(default=None, min_length=1)
    outputs: Annotated[Mapping[Name, str], Field(max_length=20)] = {}


class Argument(Document):
    """One typed argument of a host command."""

    type: Literal["string", "number", "integer", "enum"] = "string"
    description: str = ""
    pattern: str | None = None
    format: Format | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()


class ProbeDocument(Document):
    """A read that tells, after an unknown outcome, whether the change was done."""

    argv: tuple[str, ...] = Field(min_length=1)
    done: Expression


class CommandDocument(Document):
    """A named, typed host command, owned by operators; no free shell."""

    description: str = ""
    argv: tuple[str, ...] = Field(min_length=1)
    args: Mapping[Name, Argument] = {}
    effect: Literal["read", "change", "destroy"]
    repeat: Literal["harmless", "probe", "never"]
    probe: ProbeDocument | None = None


class CommandsDocument(Document):
    """commands.yaml."""

    language: Language
    commands: Mapping[Id, CommandDocument]


class TargetDocument(Document):
    """What a changing step may touch; its key is the id, labels' values are only aliases."""

    kind: str
    address: str = ""
    port: int | None = Field(default=None, ge=1, le=65535)
    url: str = ""
    connection: str = ""
    service: str = ""
    aliases: tuple[str, ...] = ()


class ServiceProbe(Document):
    """A synthetic probe of a service."""

    every: Duration


class ServiceDocument(Document):
    """A service: who owns it, where it runs, what it needs."""

    environment: str = ""
    team: str = ""
    customer: str = ""
    region: str = ""
    depends_on: tuple[str, ...] = ()
    probe: ServiceProbe | None = None


class ConnectionDocument(BaseModel):
    """A configured instance of a connector; the rest of its keys belong to that connector."""

    model_config = ConfigDict(frozen=True, extra="allow")

    uses: str


class InventoryDocument(Document):
    """inventory.yaml."""

    language: Language
    targets: Mapping[TargetId, TargetDocument] = {}
    services: Mapping[str, ServiceDocument] = {}
    connections: Mapping[Id, ConnectionDocument] = {}
