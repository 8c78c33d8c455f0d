"""Drafts a playbook and its tests from the actions that it is to use: both hold as they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.catalog.drafts import scalar
from engine.core.actions import Declaration, Effect, Estate, Input
from engine.core.documents import CommandDocument, Parameter
from engine.core.expressions import ValueType
from engine.core.json_value import Json
from engine.core.parameters import ParameterError, Spec, check_value
from engine.errors import ConfigError

# What fills the part that no given action can be: something that changes, something that proves.
CHANGE, PROOF = "ssh.run", "ssh.read"
# Taken before all others, where there are such commands.
_USUAL_COMMANDS = ("restart-unit", "unit-state")

_TARGET = "lab-1"
# Tried in this order for a parameter of a checked form; the first that fits is in the tests.
_SAMPLES: Sequence[Json] = (
    *("example", "1", "10", "80", "/var/lib/example", "http://lab-1.example/", "@1700000000"),
    *("example.service", "models--example", "2026-01-01", "1.0", "1h", "10Mi", "10%", "a"),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a draft fits into.

    `samples` are values for inputs by name, before the actions' own. `connections` are, by kind,
    the keys of one beside `uses`.
    """

    actions: Mapping[str, Declaration]
    estate: Estate
    connections: Mapping[str, Mapping[str, str]]
    samples: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Step:
    id: str
    action: Declaration
    connection: str = ""
    inputs: list[tuple[str, str, str]] = field(default_factory=list)
    arguments: Mapping[str, str] = field(default_factory=dict)


class PlaybookDraft:
    """A playbook of so many steps and proofs, and the tests that it passes unedited."""

    def __init__(self, playbook_id: str, uses: Sequence[str], around: Surroundings) -> None:
        """Raises ConfigError where nothing fits what an action needs."""
        self._id = playbook_id
        self._around = around
        declared = [around.actions[name] for name in uses]
        changes = [each for each in declared if each.effects != {Effect.READ}]
        proofs = [each for each in declared if each.effects == {Effect.READ}]
        self._parameters: dict[str, str] = {}
        self._values: dict[str, Json] = {}
        self._steps = self._part("change", changes or [around.actions[CHANGE]])
        self._proofs = self._part("proof", proofs or [around.actions[PROOF]])

    @property
    def playbook(self) -> str:
        """The text of ID.yaml."""
        return "\n".join([*self._head(), *self._body(), ""])

    @property
    def test(self) -> str:
        """The text of ID.test.yaml."""
        return "\n".join([*self._test_head(), *self._stories(), ""])

    def _part(self, name: str, actions: Sequence[Declaration]) -> Sequence[_Step]:
        steps = []
        for number, action in enumerate(actions, 1):
            step = _Step(name if number == 1 else f"{name}_{number}", action)
            self._fill(step)
            steps.append(step)
        return steps

    def _fill(self, step: _Step) -> None:
        """Choose command and connection, and what stands in each input that is needed."""
        action, commands = step.action, self._around.estate.commands
        connections = self._around.estate.connections
        usable = sorted(
            name for name, uses in connections.items() if uses == action.connection_kind
        )
        if len(usable) > 1 and not _takes_target(step):
            step.connection = usable[0]
        names_command = any(each.names == "command" for each in action.inputs.values())
        command = self._command_for(action) if names_command else ""
        for name, declared in action.inputs.items():
            about = declared.description
            match declared.names:
                case "target":
                    step.inputs.append((name, self._target(name, about), ""))
                case "command":
                    about = commands[command].description or about
                    step.inputs.append((name, command, about))
                case "arguments":
                    step.arguments = {
                        argument: self._parameter(step, argument, form)
                        for argument, form in commands[command].args.items()
                    }
                case _ if declared.required:
                    step.inputs.append((name, self._input(step, name, declared), ""))
                case _:
                    step.inputs.append((f"# {name}", "…", about))

    def _command_for(self, action: Declaration) -> str:
        """A command that is what the action is for: a change, or a read."""
        wanted = "change" if Effect.CHANGE in action.effects else "read"
        commands = self._around.estate.commands
        for name in [*filter(commands.__contains__, _USUAL_COMMANDS), *sorted(commands)]:
            if _fits(commands[name], wanted):
                return name
        raise ConfigError(
            f"{action.name} runs a command of commands.yaml, and there is none with "
            f"`effect: {wanted}`; write one first"
        )

    def _target(self, name: str, about: str) -> str:
        """One target for all steps: a remedy has one thing that it mends."""
        known = next((key for key, value in self._values.items() if value == _TARGET), "")
        if not known:
            self._parameters[name] = f"{{type: target, description: {_flow(about)}}}"
            self._values[name] = _TARGET
        return _expression(known or name)

    def _input(self, step: _Step, name: str, declared: Input) -> str:
        """A parameter of the input's type; lists and maps stand in the playbook itself."""
        match declared.type.kind:
            case "bool":
                form: Spec = Parameter(type="boolean")
            case "double":
                form = Parameter(type="number")
            case "int":
                form = Parameter(type="integer")
            case "list":
                return "[]"
            case "map" | "object":
                return "{}"
            case _:
                form = Parameter(type="string")
        form = (declared.form or form).model_copy(update={"description": declared.description})
        sample = self._around.samples.get(name, declared.example)
        return self._parameter(step, name, form, sample)

    def _parameter(self, step: _Step, name: str, form: Spec, sample: Json = None) -> str:
        """An expression for a parameter of this form, which an equal one of before may be."""
        spec = _spec(form)
        name = name if self._parameters.get(name, spec) == spec else f"{step.id}_{name}"
        self._parameters[name] = spec
        self._values[name] = _sample(form) if sample is None else sample
        return _expression(name)

    def _head(self) -> Iterator[str]:
        given = " ".join(f"-p {name}=…" for name in self._parameters)
        yield f"# Say in `description` what it does; then: quell plan {self._id} {given}"
        yield "language: 1"
        yield f"id: {scalar(self._id)}  # the file's name"
        yield "description: Say what it does, for the person who approves it"
        yield "max_mode: approve  # the most that any rule may do with it"
        yield "parameters:  # a rule gives them in `with`, a person with -p"
        for name, spec in self._parameters.items():
            yield f"  {name}: {spec}"
        yield "guards:  # what keeps a run from beginning: docs/guards.md"
        yield "  cooldown: {for: 15m, per: %s}" % ("target" if self._has_target else "playbook")
        yield "  budget: {runs: 3, within: 1h, per: playbook}"
        yield "approval: {from: [role:oncall], expires: 10m}"

    @property
    def _all(self) -> Sequence[_Step]:
        return (*self._steps, *self._proofs)

    @property
    def _has_target(self) -> bool:
        return _TARGET in self._values.values()

    def _body(self) -> Iterator[str]:
        yield "# investigate:  # steps that only read, before anybody is asked"
        yield "steps:  # the change, in order"
        for step in self._steps:
            yield from _written(step)
            yield "    timeout: 5m  # of one attempt"
            yield "    rollback: none  # or the steps that undo it"
        yield "verify:  # what proves that it helped; where it holds before, nothing is changed"
        for step in self._proofs:
            yield from _written(step)
            yield f"    until: {_proof(step.action.outputs)[0]}"
            yield "    within: 5m  # how long it may take to become true"
            yield "    stable_for: 30s  # how long it must stay true"

    def _test_head(self) -> Iterator[str]:
        yield "# What the calls give is said here, and nothing is reached; `quell test` plays it."
        yield "language: 1"
        connections = self._test_connections()
        if self._has_target or connections:
            yield "inventory:  # these tests' own"
        if self._has_target:
            kinds = [step.action.connection_kind for step in self._all if _takes_target(step)]
            reached = next((connections[kind][0] for kind in kinds if kind in connections), "")
            named = f", connection: {reached}" if reached else ""
            yield "  targets:"
            yield (
                f"    {_TARGET}: {{kind: host, address: {_TARGET}.example, port: 22, "
                f"url: 'http://{_TARGET}.example:8000', service: lab{named}}}"
            )
            yield "  services: {lab: {environment: staging}}"
        if connections:
            yield "  connections:"
        for kind, (name, keys) in connections.items():
            more = "".join(f", {key}: {scalar(value)}" for key, value in keys.items())
            yield f"    {name}: {{uses: {kind}{more}}}"
        yield "tests:"

    def _test_connections(self) -> Mapping[str, tuple[str, Mapping[str, str]]]:
        """Name and keys of one connection of each kind that is used and has an example."""
        found = {}
        for step in self._all:
            kind = step.action.connection_kind
            if self._around.connections.get(kind):
                name = step.connection or f"lab-{kind}"
                found[kind] = (name, self._around.connections[kind])
        return found

    def _stories(self) -> Iterator[str]:
        """What a run can come to, so that each step and each proof is seen either way."""
        changes = [step.id for step in self._steps]
        proofs = [step.id for step in self._proofs]
        holds_later = {step.id: _calls(step, "before", "after") for step in self._proofs}
        holds_never = {step.id: _calls(step, "before") for step in self._proofs}
        holds_before = {step.id: _calls(step, "after") for step in self._proofs}
        yield from self._story(
            "it is done, and it helped",
            holds_later,
            f"outcome: succeeded, ran: [{', '.join(changes + proofs)}], rolled_back: []",
        )
        for number, proof in enumerate(proofs, 1):
            yield from self._story(
                f"a {proof} that never holds needs a person",
                {**holds_later, proof: holds_never[proof]},
                f"outcome: failed, ran: [{', '.join(changes + proofs[:number])}], paged: true",
            )
        yield from self._story(
            "where all is well nothing is changed", holds_before, "outcome: not_needed, ran: []"
        )
        for number, change in enumerate(changes, 1):
            # What an earlier step changed stays changed.
            for given, outcome in (
                ("failed", "failed" if number == 1 else "partial"),
                ("unknown",) * 2,
            ):
                yield from self._story(
                    f"a {change} whose outcome is {given} needs a person",
                    {**holds_never, change: f"[{{outcome: {given}}}]"},
                    f"outcome: {outcome}, ran: [{', '.join(changes[:number])}], paged: true",
                )

    def _story(self, name: str, fakes: Mapping[str, str], run: str) -> Iterator[str]:
        given = ", ".join(f"{key}: {_flow(value)}" for key, value in self._values.items())
        yield f"  - name: {scalar(name)}"
        yield f"    by_hand: [{{playbook: {scalar(self._id)}, with: {{{given}}}}}]"
        yield "    fakes:"
        yield from (f"      {step}: {calls}" for step, calls in fakes.items())
        yield "    expect:"
        yield f"      - {{at: 15m, incidents: [{{runs: [{{{run}}}]}}]}}"


def _expression(name: str) -> str:
    return f"'${{{{ params.{name} }}}}'"


def _takes_target(step: _Step) -> bool:
    return any(each.names == "target" for each in step.action.inputs.values())


def _calls(step: _Step, *when: Literal["before", "after"]) -> str:
    """What the calls of a proof give, one after the other."""
    _, before, after = _proof(step.action.outputs)
    given = {"before": before, "after": after}
    return f"[{', '.join(f'{{result: {{{given[each]}}}}}' for each in when)}]"


def _written(step: _Step) -> Iterator[str]:
    yield f"  - id: {step.id}"
    yield f"    uses: {step.action.name}  # {step.action.description}"
    if step.connection:
        yield f"    connection: {scalar(step.connection)}"
    if step.inputs or step.arguments:
        yield "    with:"
    for name, value, about in step.inputs:
        yield f"      {name}: {value}" + (f"  # {about}" if about else "")
    if step.arguments:
        yield "      args:"
    for name, value in step.arguments.items():
        yield f"        {name}: {value}"


def _spec(form: Spec) -> str:
    """A command's argument, or an input, as the parameter that gives it is written."""
    keys = {"type": form.type, **form.model_dump(exclude_defaults=True)}
    return f"{{{', '.join(f'{key}: {_flow(value)}' for key, value in keys.items())}}}"


def _flow(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case _:
            return scalar(str(value))


def _fits(command: CommandDocument, effect: str) -> bool:
    """Whether a command has this effect, and a test can give all of its arguments."""
    samples = map(_sample, command.args.values())
    return command.effect == effect and all(each is not None for each in samples)


def _sample(form: Spec) -> Json:
    """A value that fits, None where none is known."""
    bounds = [each for each in (form.minimum, form.maximum) if each is not None]
    for value in (*bounds, True, *form.values, *_SAMPLES):
        try:
            return check_value(form, value)
        except ParameterError:
            continue
    return None


def _proof(outputs: Mapping[str, ValueType]) -> tuple[str, str, str]:
    """An `until`, and what a call gives while it doesn't hold, and when it does."""
    if "exit_code" in outputs:
        return "result.exit_code == 0", "exit_code: 3", "exit_code: 0"
    by_kind = {kind.kind: name for name, kind in reversed(list(outputs.items()))}
    if name := "ok" if "ok" in outputs else "":
        return f"result.{name}", f"{name}: false", f"{name}: true"
    if name := by_kind.get("double") or by_kind.get("int", ""):
        return f"result.{name} < 1", f"{name}: 9", f"{name}: 0"
    if name := by_kind.get("bool", ""):
        return f"result.{name}", f"{name}: false", f"{name}: true"
    if name := by_kind.get("string", ""):
        return f'result.{name} == "ok"', f"{name}: bad", f"{name}: ok"
    return "true", "", ""
