"""What authors write to rehearse a rule or playbook: `x.test.yaml` beside it (language 1)."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from engine.core.documents import (
    ConnectionDocument,
    Document,
    Duration,
    Id,
    Language,
    ModeName,
    ServiceDocument,
    SeverityName,
    TargetDocument,
    TargetId,
)
from engine.core.durations import parse_duration
from engine.core.events import RunOutcome
from engine.core.incident import IncidentStatus
from engine.core.loops import without_items
from engine.core.mistakes import Mistakes

# A step's id in a plan: `restart`, of a foreach `restart[gpu-07]`, of a call `drain/restart`.
_PART = r"[a-z][a-z0-9_]{0,40}(\[[^\[\]\s]{1,128}\])?"
PlannedId = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART}){{0,4}}$")]


class AlertStep(Document):
    """At a time, an alert fires under a name of the test's own, or that one resolves."""

    at: Duration = "0s"
    fire: str | None = None
    resolve: str | None = None
    source: str = Field(default="alertmanager", min_length=1)
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class RunByHand(Document):
    """At a time, a person starts a playbook."""

    at: Duration = "0s"
    playbook: Id
    with_: Mapping[str, JsonValue] = Field(default={}, alias="with")


# How a call ends of which nobody knows whether it did something: what a probe then finds.
UNSETTLED = frozenset({"timed_out", "unknown"})


class FakeCall(Document):
    """What a step's call gives in the rehearsal; a list is used up in order, its last repeats."""

    outcome: Literal["succeeded", "failed", "not_begun", "timed_out", "unknown"] = "succeeded"
    result: Mapping[str, JsonValue] = {}
    probe: Literal["done", "not_done", "cannot_tell"] | None = None


class ExpectedRun(Document):
    """What a run must have come to; what isn't written isn't compared."""

    playbook: Id | None = None
    outcome: RunOutcome | None = None
    ran: tuple[PlannedId, ...] | None = None
    rolled_back: tuple[PlannedId, ...] | None = None
    paged: bool | None = None
    left_to_do: bool | None = None
    outputs: Mapping[str, JsonValue] | None = None


class ExpectedIncident(Document):
    """What an incident must look like; what isn't written isn't compared."""

    rule: Id | None = None
    severity: SeverityName | None = None
    mode: ModeName | None = None
    status: IncidentStatus | None = None
    group: Mapping[str, str] | None = None
    messages: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    runs: tuple[ExpectedRun, ...] | None = None


class Expectation(Document):
    """All incidents at a time, in the order in which they were opened."""

    at: Duration = "0s"
    incidents: tuple[ExpectedIncident, ...]


class Rehearsal(Document):
    """One story: what fires or is started, what people say, what steps give, what must follow."""

    name: str = Field(min_length=1)
    alerts: tuple[AlertStep, ...] = ()
    by_hand: tuple[RunByHand, ...] = ()
    approval: Literal["approved", "rejected", "nobody"] = "approved"
    answers: Mapping[PlannedId, str] = {}
    fakes: Mapping[PlannedId, tuple[FakeCall, ...]] = {}
    expect: tuple[Expectation, ...]


class RehearsedInventory(Document):
    """Targets and services that the tests of one file have instead of the project's."""

    targets: Mapping[TargetId, TargetDocument] = {}
    services: Mapping[str, ServiceDocument] = {}
    connections: Mapping[Id, ConnectionDocument] = {}


class RehearsalsDocument(Document):
    """x.test.yaml."""

    language: Language
    inventory: RehearsedInventory | None = None
    tests: tuple[Rehearsal, ...]


def check_rehearsals(document: RehearsalsDocument, mistakes: Mistakes) -> None:
    """Check what the models can't say: times, and that only what fired resolves."""
    for index, test in enumerate(document.tests):
        here = mistakes.at("tests", index)
        if not test.expect:
            here.at("expect").add("a test expects something; write what must follow")
        _check_orders(test, here)
        fired: set[str] = set()
        for number, step in enumerate(test.alerts):
            there = here.at("alerts", number)
            _check_time(step.at, there.at("at"))
            if (step.fire is None) == (step.resolve is None):
                there.add("write either `fire` or `resolve`, with a name for the alert")
            if step.fire is not None:
                fired.add(step.fire)
                if "alertname" not in step.labels:
                    there.add("an alert that fires needs `labels` with an `alertname`")
            elif step.resolve is not None and step.resolve not in fired:
                there.at("resolve").unknown("alert that fired before", step.resolve, fired)
        _check_probes(test, here.at("fakes"))
        for number, expectation in enumerate(test.expect):
            _check_time(expectation.at, here.at("expect", number, "at"))


def check_names(
    document: RehearsalsDocument, steps: Mapping[str, Collection[str]], mistakes: Mistakes
) -> None:
    """Check what the tests name against the playbooks; `steps` are the ids of each one's.

    Those of a playbook that one of them calls are among them, as `mend/restart`.

    A fake of a step that no playbook has would be used by nothing, and its test would tell of
    another story.
    """
    known = frozenset(each for ids in steps.values() for each in ids)
    for index, test in enumerate(document.tests):
        here = mistakes.at("tests", index)
        started = {each for order in test.by_hand for each in steps.get(order.playbook, ())}
        for number, order in enumerate(test.by_hand):
            if order.playbook not in steps:
                there = here.at("by_hand", number, "playbook")
                there.unknown("playbook", order.playbook, steps)
        for key, names in (("fakes", test.fakes), ("answers", test.answers)):
            for name in names:
                if without_items(name) not in known:
                    here.at(key, name).unknown("step", name, started or known)


def check_results(
    document: RehearsalsDocument, outputs: Mapping[str, Collection[str]], mistakes: Mistakes
) -> None:
    """Check that what a fake gives is an output; `outputs` are those of each step, by its id.

    A misspelt one would leave the real output at nothing, and the test would tell of that.
    """
    for index, test in enumerate(document.tests):
        for name, calls in test.fakes.items():
            known = outputs.get(without_items(name).rpartition("/")[2])
            if known is None:
                continue
            for number, call in enumerate(calls):
                here = mistakes.at("tests", index, "fakes", name, number, "result")
                for output in call.result:
                    if output not in known:
                        here.at(output).unknown("output", output, known)


def _check_probes(test: Rehearsal, mistakes: Mistakes) -> None:
    for name, calls in test.fakes.items():
        for number, call in enumerate(calls):
            if call.probe is not None and call.outcome not in UNSETTLED:
                here = mistakes.at(name, number, "probe")
                here.add(f"a call that {call.outcome} is not probed; write `outcome: unknown`")


def _check_orders(test: Rehearsal, mistakes: Mistakes) -> None:
    if not test.alerts and not test.by_hand:
        mistakes.add("nothing happens in this test; write `alerts`, or start a playbook `by_hand`")
    for number, order in enumerate(test.by_hand):
        _check_time(order.at, mistakes.at("by_hand", number, "at"))


def _check_time(text: str, mistakes: Mistakes) -> None:
    try:
        parse_duration(text)
    except ValueError as error:
        mistakes.add(str(error))
