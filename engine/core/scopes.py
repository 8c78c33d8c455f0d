"""What expressions of each place may name, and the values behind those names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter

from engine.core.alert import Alert
from engine.core.documents import Argument, Items, Parameter
from engine.core.expressions import Bindings, FunctionType, Scope, ValueType
from engine.core.incident import Incident
from engine.core.inventory import Inventory
from engine.core.json_value import Json
from engine.core.parameters import secrets_taken
from engine.core.plan import Place

_TEXT = ValueType.STRING

# Rules, and the defaults of parameters.
ALERT = Scope(
    {
        "alert.fingerprint": _TEXT,
        "alert.source": _TEXT,
        "alert.name": _TEXT,
        "alert.labels": ValueType.LABELS,
        "alert.annotations": ValueType.LABELS,
        "alert.starts_at": ValueType.TIMESTAMP,
        "alert.received_at": ValueType.TIMESTAMP,
        "alert.service": _TEXT,
        "alert.resource": _TEXT,
        "alert.target": _TEXT,
        "alert.environment": _TEXT,
        "alert.team": _TEXT,
        "alert.customer": _TEXT,
        "alert.region": _TEXT,
        "alert.severity_hint": _TEXT,
    }
)

_values_of = attrgetter(*(name.removeprefix("alert.") for name in ALERT.names))

POLICY_FIELDS = ("service", "environment", "team", "customer", "region")
POLICY = Scope(dict.fromkeys(POLICY_FIELDS, _TEXT))


def policy_facts(of: Alert | Incident) -> Mapping[str, str]:
    """What policy asks about an alert or an incident; an incident doesn't know them all."""
    return {name: str(getattr(of, name, "")) for name in POLICY_FIELDS}


INCIDENT = Scope(
    {
        "incident.id": _TEXT,
        "incident.name": ValueType.FORMATTED,
        "incident.severity": ValueType.FORMATTED,
        "incident.rule": ValueType.FORMATTED,
        "incident.title": _TEXT,
        "incident.service": _TEXT,
        "incident.environment": _TEXT,
        "incident.team": _TEXT,
        "incident.opened_at": ValueType.TIMESTAMP,
    }
)

TARGET_FUNCTION = FunctionType((_TEXT,), ValueType.object_of({}))

# GitHub Actions' words for an `if`: a step that asks one of them isn't skipped after a failure.
FAILURE, ALWAYS = "failure", "always"
AFTER_FAILURE = frozenset({FAILURE, ALWAYS})

# How a step of a playbook ended, beside its own outputs: succeeded, failed, unknown or skipped.
OUTCOME = "outcome"

_PARAMETER_TYPES: Mapping[str, ValueType] = {
    "string": _TEXT,
    "enum": ValueType.FORMATTED,
    "target": ValueType.FORMATTED,
    "integer": ValueType.INT,
    "number": ValueType.DOUBLE,
    "boolean": ValueType.BOOL,
    "secret": ValueType.SECRET,
}


def parameter_type(spec: Parameter | Argument | Items) -> ValueType:
    """The type of a parameter's value; a pattern or format makes a string fit to stand in text."""
    if isinstance(spec, Parameter) and spec.type == "list":
        return ValueType.list_of(parameter_type(spec.items) if spec.items else ValueType.DYN)
    if spec.type == "string" and (spec.pattern is not None or spec.format is not None):
        return ValueType.FORMATTED
    return _PARAMETER_TYPES[spec.type]


def playbook_scope(parameters: Mapping[str, Parameter]) -> Scope:
    """What every part of a playbook may name: params, incident and `target(id)`."""
    own = {f"params.{name}": parameter_type(spec) for name, spec in parameters.items()}
    secrets = {
        f"params.{name}": secrets_taken(spec)
        for name, spec in parameters.items()
        if spec.type == "secret"
    }
    open_ = {name: kind for name, kind in own.items() if not kind.secret}
    scope = Scope(open_, narrow=True, secrets=secrets)
    return scope.merged(INCIDENT).with_function("target", TARGET_FUNCTION)


def condition_scope(scope: Scope) -> Scope:
    """What an `if` may name beside that: whether a step failed before."""
    for name in (FAILURE, ALWAYS):
        scope = scope.with_function(name, FunctionType((), ValueType.BOOL))
    return scope


def alert_bindings(alert: Alert) -> Bindings:
    """The values of one alert, to be shared by all expressions over it."""
    return Bindings(dict(zip(ALERT.names, _values_of(alert), strict=True)))


def incident_values(incident: Incident) -> Mapping[str, object]:
    """The values behind the names of `incident`."""
    return {
        "incident.id": incident.id,
        "incident.name": incident.name,
        "incident.severity": incident.severity.name,
        "incident.rule": incident.rule_id,
        "incident.title": incident.title,
        "incident.service": incident.service,
        "incident.environment": incident.environment,
        "incident.team": incident.team,
        "incident.opened_at": incident.opened_at,
    }


@dataclass(frozen=True, slots=True)
class Known:
    """What a run knows when an expression of its playbook is evaluated.

    `outputs` leads from a step's id to its outputs, with `outcome` among them once it ended.
    `result` is the call that an `until` looks at, `names` are those of a place of the plan.
    `failed`: a step failed, or came too late.
    """

    parameters: Mapping[str, Json]
    incident: Incident
    inventory: Inventory
    outputs: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    result: Mapping[str, Json] | None = None
    failed: bool = False
    names: Mapping[str, Json] = field(default_factory=dict)

    def at(self, place: Place) -> "Known":
        """What is known from a place of the plan: its own names, its item's own steps."""
        suffix = f"[{place.item}]" if place.item else ""
        outputs = {
            step.removeprefix(place.frame).removesuffix(suffix): given
            for step, given in self.outputs.items()
            if step.startswith(place.frame)
        }
        given = self.parameters if place.parameters is None else place.parameters
        return replace(self, parameters=given, outputs=outputs, names=place.names)

    def bindings(self) -> Bindings:
        """The values for every scope of a playbook."""
        values: dict[str, object] = dict(incident_values(self.incident))
        values.update({f"params.{name}": value for name, value in self.parameters.items()})
        values.update(self.names)
        for step, outputs in self.outputs.items():
            values.update({f"steps.{step}.{name}": value for name, value in outputs.items()})
        if self.result is not None:
            values.update({f"result.{name}": value for name, value in self.result.items()})
        functions: dict[str, Callable[..., object]] = {
            "target": target_function(self.inventory),
            FAILURE: lambda: self.failed,
            ALWAYS: lambda: True,
        }
        return Bindings(values, functions)


def target_function(inventory: Inventory) -> Callable[[str], Mapping[str, object]]:
    """`target(id)` in expressions: what the inventory says of a target and of its service."""

    def find(target: str) -> Mapping[str, object]:
        entry = inventory.targets.get(target)
        if entry is None:
            raise ValueError(f"{target!r} is no target of the inventory")
        return {"id": target, "kind": entry.kind, **inventory.facts_of(target)}

    return find
