"""An action whose calls do nothing: each gives what the rehearsal says for its step."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from typing_extensions import override

from engine.core.actions import Call, ProbeAnswer, Result
from engine.core.expression_types import ValueType
from engine.core.json_value import Json, JsonObject
from engine.core.loops import without_items
from engine.core.rehearsal_documents import FakeCall
from engine.errors import OutcomeUnknownError, TransientError
from engine.ports.action import Action
from engine.ports.wrapped_action import WrappedAction
from engine.rehearsal.virtual_clock import VirtualClock

_NOTHING: Mapping[str, Json] = {
    "string": "",
    "int": 0,
    "double": 0.0,
    "bool": False,
    "list": [],
    "map": {},
    "object": {},
}


class RehearsedAction(WrappedAction):
    """The real action up to its call, which is one of `fakes` by the step's id.

    A list is used up in order, and its last one repeats; under a loop's step without an item it is
    that of all items. A step without any succeeds, and its outputs are empty. One that times out
    takes all of its time.
    """

    def __init__(
        self, action: Action, fakes: Mapping[str, Sequence[FakeCall]], clock: VirtualClock
    ) -> None:
        super().__init__(action)
        self._left = {step: list(calls) for step, calls in fakes.items() if calls}
        self._clock = clock
        self._probed: dict[str, ProbeAnswer] = {}

    @override
    async def look(self, call: Call) -> JsonObject:
        return {}

    @override
    async def execute(self, call: Call) -> Result:
        fake = self._next(call.step_id)
        self._probed[call.step_id] = ProbeAnswer(fake.probe or "cannot_tell")
        match fake.outcome:
            case "not_begun":
                raise TransientError("the rehearsal says that it could not begin")
            case "timed_out":
                self._clock.advance(call.timeout_s)
                raise OutcomeUnknownError(f"no end within {call.timeout_s:g} s")
            case "unknown":
                raise OutcomeUnknownError("the rehearsal says that nobody knows how it ended")
            case "succeeded" | "failed":
                return self._ended(fake)
            case _:
                assert_never(fake.outcome)

    def _ended(self, fake: FakeCall) -> Result:
        declared = self.declaration.outputs
        outputs = {name: _nothing(declared[name]) for name in declared} | dict(fake.result)
        succeeded = fake.outcome == "succeeded"
        return Result(succeeded, outputs, error="" if succeeded else "the rehearsal says so")

    @override
    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        return self._probed[call.step_id]

    @override
    async def close(self) -> None:
        """Nothing was opened."""

    def _next(self, step: str) -> FakeCall:
        left = self._left.get(step) or self._left.get(without_items(step))
        if left is None:
            return FakeCall()
        return left.pop(0) if len(left) > 1 else left[0]


def _nothing(declared: ValueType) -> Json:
    return _NOTHING.get(declared.kind, "")
