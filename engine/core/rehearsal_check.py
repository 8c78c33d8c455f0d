"""What became of a rehearsal, held against what its author expects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from engine.core import events
from engine.core.incident import Incident, needs_person
from engine.core.rehearsal_documents import ExpectedIncident, ExpectedRun
from engine.core.severity import Severity

# So many texts help an author who expected another one.
LATEST_TOLD = 5


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run as its incident's chain tells it; `outcome` is "" while it goes on.

    `ran` are the steps that were begun, each once, in order; what only looked whether the remedy
    is needed isn't among them. `paged`: its end needs a person.
    """

    playbook: str
    outcome: str
    reason: str
    ran: tuple[str, ...]
    rolled_back: tuple[str, ...]
    paged: bool = False
    left_to_do: bool = False
    outputs: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenIncident:
    """An incident at a time; `messages` are the texts that people were told, oldest first."""

    rule: str
    severity: Severity
    mode: str
    status: str
    group: Mapping[str, str]
    runs: tuple[SeenRun, ...]
    messages: tuple[str, ...] = ()


@dataclass(slots=True)
class _Told:
    playbook: str
    outcome: str
    reason: str
    ran: dict[str, None]
    rolled_back: dict[str, None]
    paged: bool = False
    left_to_do: bool = False
    outputs: Mapping[str, JsonValue] = field(default_factory=dict)


def seen_incident(
    incident: Incident, story: Sequence[events.Event], messages: Sequence[str] = ()
) -> SeenIncident:
    """The incident with the runs that its story tells of, in the order in which they began."""
    runs: dict[str, _Told] = {}
    then = replace(incident, status="open")
    for event in story:
        match event:
            case events.RunCreated():
                runs[event.run_id] = _Told(event.playbook_id, "", "", {}, {})
            case events.StepObserved() if event.phase not in ("precheck", "guards"):
                runs[event.run_id].ran[event.step_id] = None
            case events.AttemptIntended():
                run = runs[event.run_id]
                steps = run.rolled_back if event.phase == "rollback" else run.ran
                steps[event.step_id] = None
            case events.RunEnded():
                runs[event.run_id].outcome = event.outcome
                runs[event.run_id].reason = event.reason
                runs[event.run_id].outputs = event.outputs
                runs[event.run_id].paged = needs_person(event, then)
            case events.IncidentResolved() | events.IncidentReopened():
                is_over = isinstance(event, events.IncidentResolved)
                then = replace(then, status="resolved" if is_over else "open")
            case events.FollowUpOpened() | events.FollowUpDone():
                is_open = isinstance(event, events.FollowUpOpened)
                runs[event.run_id].left_to_do = is_open
            case _:
                pass
    return SeenIncident(
        rule=incident.rule_id,
        severity=incident.severity,
        mode=incident.mode.value,
        status=incident.status,
        group=incident.group,
        runs=tuple(
            SeenRun(
                playbook=run.playbook,
                outcome=run.outcome,
                reason=run.reason,
                ran=tuple(run.ran),
                rolled_back=tuple(run.rolled_back),
                paged=run.paged,
                left_to_do=run.left_to_do,
                outputs=run.outputs,
            )
            for run in runs.values()
        ),
        messages=tuple(messages),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """What isn't as expected: `path` leads below the expectation, `problem` is for the author."""

    path: tuple[str | int, ...]
    problem: str


def differences(
    expected: Sequence[ExpectedIncident], seen: Sequence[SeenIncident]
) -> list[Difference]:
    """What differs; empty where all is as expected."""
    found = []
    if len(expected) != len(seen):
        what = ", ".join(f"{each.rule} {each.severity.name}" for each in seen) or "none"
        problem = f"{_counted(len(expected), 'incident')}, there are {len(seen)}: {what}"
        found.append(Difference(("incidents",), problem))
    for index, (wanted, incident) in enumerate(zip(expected, seen, strict=False)):
        found.extend(_of_incident(("incidents", index), wanted, incident))
    return found


def _of_incident(
    path: tuple[str | int, ...], wanted: ExpectedIncident, seen: SeenIncident
) -> Iterator[Difference]:
    values = {
        "rule": seen.rule,
        "severity": seen.severity.name,
        "mode": seen.mode,
        "status": seen.status,
    }
    yield from _of_values(path, wanted, values)
    for name, value in (wanted.group or {}).items():
        if seen.group.get(name, "") != value:
            problem = f"expected {value!r}, it is {seen.group.get(name, '')!r}"
            yield Difference((*path, "group", name), problem)
    yield from _of_messages((*path, "messages"), wanted.messages, seen.messages)
    if wanted.runs is None:
        return
    if len(wanted.runs) != len(seen.runs):
        what = ", ".join(f"{run.playbook} {run.outcome or 'goes on'}" for run in seen.runs)
        counted = _counted(len(wanted.runs), "run")
        problem = f"{counted}, there are {len(seen.runs)}: {what or 'none'}"
        yield Difference((*path, "runs"), problem)
    for index, (run, there) in enumerate(zip(wanted.runs, seen.runs, strict=False)):
        yield from _of_run((*path, "runs", index), run, there)


def _of_messages(
    path: tuple[str | int, ...], wanted: Sequence[str] | None, told: Sequence[str]
) -> Iterator[Difference]:
    latest = ", ".join(repr(each) for each in told[-LATEST_TOLD:])
    if wanted is not None and not wanted and told:
        yield Difference(path, f"expected no message, the latest say: {latest}")
    for index, text in enumerate(wanted or ()):
        if not any(text in each for each in told):
            there = f"the latest say: {latest}" if told else "there is none"
            yield Difference((*path, index), f"no message says {text!r}; {there}")


def _of_run(
    path: tuple[str | int, ...], wanted: ExpectedRun, seen: SeenRun
) -> Iterator[Difference]:
    values = {
        "playbook": seen.playbook,
        "outcome": seen.outcome,
        "ran": seen.ran,
        "rolled_back": seen.rolled_back,
        "paged": seen.paged,
        "left_to_do": seen.left_to_do,
        "outputs": seen.outputs,
    }
    for each in _of_values(path, wanted, values):
        if each.path[-1] in ("outcome", "paged") and seen.reason:
            yield Difference(each.path, f"{each.problem}: {seen.reason}")
        else:
            yield each


def _of_values(
    path: tuple[str | int, ...],
    wanted: ExpectedIncident | ExpectedRun,
    values: Mapping[str, object],
) -> Iterator[Difference]:
    for name, value in values.items():
        expected = getattr(wanted, name)
        if expected is not None and expected != value:
            what = f"{name}: " if isinstance(value, bool) else ""
            problem = f"expected {what}{_shown(expected)}, it is {_shown(value)}"
            yield Difference((*path, name), problem)


def _counted(number: int, what: str) -> str:
    return f"expected {number} {what}{'' if number == 1 else 's'}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or "going on"
