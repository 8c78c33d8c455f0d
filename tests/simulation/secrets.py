"""Invariant 11: whatever the outside shows of quell's secret, none of it is kept or told."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core import events
from engine.core.actions import Call, Declaration, Estate, Prepared, ProbeAnswer, Result
from engine.core.journal import Entry
from engine.core.json_value import Json, JsonObject
from engine.core.masking import MARK
from engine.errors import QuellError
from engine.ports.known_secrets import KNOWN
from tests.simulation.inline_store import Database
from tests.simulation.outside import Lab
from tests.simulation.people import Office
from tests.simulation.scheduler import Scheduler
from tests.simulation.sizes import HUGE, HUGE_LENGTH, huge_state

IN_RESULT = "secret in a result"
IN_ERROR = "secret in an error"
IN_STATE = "secret in the state before a change"
IN_ALERT = "secret in an alert"

NAME = "people.slack.bot_token"
# No encoding of a text alters the mark; base64 shows some of these, by what stands before it.
SECRET = "xoxb-/+=\"%&' Q7ZM4RKD2WX9<z>"
_MARK = b"Q7ZM4RKD2WX9"
_TRACES = (_MARK, *(base64.b64encode(bytes(n) + _MARK)[4:-4] for n in range(3)))
# What rules decide on stays as it was sent.
_AS_SENT = frozenset({"occurrences", "dead_letters"})


def tell_secret() -> None:
    """What happens when a process reads its settings."""
    KNOWN.forget()
    KNOWN.keep(NAME, SECRET)


def careless_text(scheduler: Scheduler) -> str:
    """The secret in one of the forms in which it travels."""
    forms = (
        SECRET,
        json.dumps({"token": SECRET}),
        base64.b64encode(f"quell:{SECRET}".encode()).decode(),
        f"{SECRET[:12]}\n{SECRET[12:]}",
    )
    text = f"token {scheduler.random.choice(forms)} was refused"
    if scheduler.chance(0.3):
        scheduler.fault(HUGE, "text")
        text += "-" * HUGE_LENGTH
    return text


def annotations(scheduler: Scheduler) -> dict[str, str]:
    """An alert's; now and then a receiver's own error is quoted in it."""
    if not scheduler.chance(0.2):
        return {}
    scheduler.fault(IN_ALERT, "annotation")
    return {"summary": careless_text(scheduler)}


@dataclass
class Careless:
    """The lab's action, which shows in its answers what it was sent."""

    lab: Lab
    scheduler: Scheduler

    @property
    def declaration(self) -> Declaration:
        return self.lab.declaration

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        return self.lab.prepare(inputs, estate, connection)

    async def look(self, call: Call) -> JsonObject:
        before = {**await self.lab.look(call), **huge_state(self.scheduler)}
        if not self.scheduler.chance(0.05):
            return before
        self.scheduler.fault(IN_STATE, str(call.prepared.payload["what"]))
        return {**before, "by": careless_text(self.scheduler)}

    async def execute(self, call: Call) -> Result:
        try:
            result = await self.lab.execute(call)
        except QuellError as error:
            if not self.scheduler.chance(0.3):
                raise
            self.scheduler.fault(IN_ERROR, str(error))
            raise type(error)(f"{error}: {careless_text(self.scheduler)}") from None
        if not self.scheduler.chance(0.2):
            return result
        self.scheduler.fault(IN_RESULT, str(call.prepared.payload["what"]))
        shown = careless_text(self.scheduler)
        outputs = {**result.outputs, "text": shown}
        return replace(result, outputs=outputs, evidence=shown, error=result.error and shown)

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        return await self.lab.probe(call, before)

    async def close(self) -> None:
        await self.lab.close()


@dataclass
class SecretInvariants:
    """`broken` is told what doesn't hold."""

    database: Database
    office: Office
    broken: Callable[[int, str], None]

    def read(self, appended: Sequence[Entry]) -> None:
        """Check what was just written."""
        for entry in appended:
            if _is_shown(entry.body or b""):
                self.broken(11, f"{entry.kind} holds the secret")
            event = entry.event()
            if isinstance(event, events.AttemptIntended) and MARK in repr(event.before):
                self.broken(11, "a probe would compare with what was masked")

    def at_rest(self) -> None:
        """Check what is there, and what people read."""
        for table in self._tables():
            for row in self.database.rows(f"SELECT * FROM {table}"):
                if any(_is_shown(_bytes(cell)) for cell in row):
                    self.broken(11, f"table {table} holds the secret")
        for ref, view in self.office.messages.items():
            if _is_shown(repr(view).encode()):
                self.broken(11, f"message {ref} shows the secret")

    def _tables(self) -> Iterator[str]:
        names = self.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        yield from sorted({name for (name,) in names} - _AS_SENT)


def _bytes(cell: object) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()


def _is_shown(data: bytes) -> bool:
    return any(trace in data for trace in _TRACES)
