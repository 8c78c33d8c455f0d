"""Actions, a notifier and a tracker that do what a test says, and remember what they were asked."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from typing_extensions import override

from engine.core.actions import (
    Call,
    Declaration,
    Effect,
    Estate,
    Input,
    Prepared,
    ProbeAnswer,
    Repeat,
    Result,
)
from engine.core.alert import Occurrence
from engine.core.expressions import ValueType
from engine.core.incident_view import IncidentView
from engine.core.json_value import Json, JsonObject
from engine.core.still_firing import Confirmation
from engine.ports.source import NOBODY, Admission, Parsed, Sender, Source
from engine.ports.stream import Message
from engine.ports.tracker import Ticket, TicketDraft

# What a call comes to.
Before: TypeAlias = JsonObject | Exception | Callable[[Call], Awaitable[JsonObject]]
End: TypeAlias = Result | Exception | Callable[[Call], Awaitable[Result]]

OK = Result(succeeded=True, outputs={"ok": True, "text": "fine"}, evidence="fine")
BAD = Result(succeeded=True, outputs={"ok": False, "text": "bad"}, evidence="bad")
FAILED = Result(succeeded=False, outputs={"ok": False, "text": ""}, error="exit code 1")


async def never(_: Call) -> Result:
    """Hangs until it is cancelled."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Hanging:
    """A change that goes on until it is let go, and then comes to `comes_to`.

    Told to end before, it does what `ends` says.
    """

    def __init__(self, ends: Result | None = None, comes_to: Result = OK) -> None:
        self.begun = 0
        self.ended = 0
        self.signalled = asyncio.Event()
        self.let_go = asyncio.Event()
        self._ends = ends
        self._comes_to = comes_to

    async def __call__(self, _: Call) -> Result:
        self.begun += 1
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.signalled.set()
            if self._ends is None:
                raise
            return self._ends
        self.ended += 1
        return self._comes_to


def _declared(name: str, effect: Effect) -> Declaration:
    return Declaration(
        name=name,
        version=1,
        description="Does what the test says",
        inputs={
            "what": Input(ValueType.STRING),
            "host": Input(ValueType.STRING, names="target"),
        },
        outputs={"ok": ValueType.BOOL, "text": ValueType.STRING},
        effects=frozenset({effect}),
    )


LOOK = _declared("lab.look", Effect.READ)
MEND = _declared("lab.mend", Effect.CHANGE)


QUERY = Declaration(
    name="prometheus.query",
    version=1,
    description="Answers what the test says",
    inputs={"query": Input(ValueType.STRING)},
    outputs={},
    effects=frozenset({Effect.READ}),
)


@dataclass
class ScriptedAction:
    """`script` gives each `what` its ends in turn, the last one for all that follow."""

    declaration: Declaration
    repeat: Repeat = Repeat.PROBE
    script: dict[str, list[End]] = field(default_factory=dict)
    looks: list[Before] = field(default_factory=lambda: [{"started": "1"}])
    probes: list[ProbeAnswer | Exception] = field(default_factory=lambda: [ProbeAnswer.DONE])
    calls: list[tuple[str, Call]] = field(default_factory=list)
    probed: list[tuple[Call, JsonObject]] = field(default_factory=list)

    def will(self, what: str, *ends: End) -> None:
        """From now on `what` ends so."""
        self.script[what] = list(ends)

    def done(self, what: str) -> int:
        """How often `what` was executed."""
        return sum(each == what for each, _ in self.calls)

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        (effect,) = self.declaration.effects
        reads = effect is Effect.READ
        return Prepared(
            effect=effect,
            repeat=Repeat.HARMLESS if reads else self.repeat,
            connection="",
            targets=(str(inputs["host"]),),
            description=f"{inputs['host']}$ {inputs['what']}",
            payload=dict(inputs),
        )

    async def look(self, call: Call) -> JsonObject:
        seen = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(seen, Exception):
            raise seen
        return await seen(call) if callable(seen) else seen

    async def execute(self, call: Call) -> Result:
        what = str(call.prepared.payload["what"])
        self.calls.append((what, call))
        ends = self.script.get(what, [OK])
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        if isinstance(end, Exception):
            raise end
        return end if isinstance(end, Result) else await end(call)

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        self.probed.append((call, before))
        answer = self.probes.pop(0) if len(self.probes) > 1 else self.probes[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class ScriptedSource(Source):
    """Says what a test says; sends nothing itself."""

    name: str = "alertmanager"
    answers: list[Confirmation | Exception] = field(
        default_factory=lambda: [Confirmation("firing", "source", "asked")]
    )
    asked: list[Occurrence] = field(default_factory=list)
    max_body_bytes: int = 0
    has_credentials: bool = False

    @override
    async def admit(self, sender: Sender, now: datetime) -> Admission:
        raise NotImplementedError

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        raise NotImplementedError

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        self.asked.append(occurrence)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class ScriptedQuery(ScriptedAction):
    """Its one `what` is `query`."""

    @override
    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        return Prepared(
            effect=Effect.READ,
            repeat=Repeat.HARMLESS,
            connection="",
            targets=(),
            description=str(inputs["query"]),
            payload={"what": "query", **inputs},
        )


def up(**targets: float) -> Result:
    """A query's samples: what it says of each target."""
    values: list[Json] = [
        {"labels": {"target": name.replace("_", "-")}, "value": value}
        for name, value in targets.items()
    ]
    return Result(succeeded=True, outputs={"values": values})


@dataclass
class RecordingNotifier:
    """Remembers what it showed; `faults` are raised first, one a call."""

    name: str = "chat"
    shown: list[tuple[IncidentView, str]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    async def show(self, view: IncidentView, ref: str) -> str:
        if self.faults:
            raise self.faults.pop(0)
        self.shown.append((view, ref))
        return ref or f"{self.name}/{len(self.shown)}"


@dataclass
class RecordingPublisher:
    """Remembers what it was given; `faults` are raised first, one a call."""

    name: str = "quell.incidents"
    published: list[Message] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None

    async def open(self) -> None:
        """It is there."""

    async def publish(self, message: Message) -> None:
        if self.before is not None:
            await self.before()
        if self.faults:
            raise self.faults.pop(0)
        self.published.append(message)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class RecordingTracker:
    """Remembers drafts; `faults` are raised after it made the ticket, one a call."""

    name: str = "tracker"
    asked: list[tuple[TicketDraft, bool]] = field(default_factory=list)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    made: int = 0
    faults: list[Exception] = field(default_factory=list)

    async def open(self, draft: TicketDraft, *, may_exist: bool) -> Ticket:
        self.asked.append((draft, may_exist))
        known = self.tickets.get(draft.key) if may_exist else None
        if known is None:
            self.made += 1
            known = Ticket(f"OPS-{self.made}", f"https://tracker.example/OPS-{self.made}")
            self.tickets[draft.key] = known
        if self.faults:
            raise self.faults.pop(0)
        return known

    async def close(self) -> None:
        """Nothing is open."""
