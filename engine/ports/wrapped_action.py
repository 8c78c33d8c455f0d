"""What stands between a run and an action: all as the action has it, but what a kind adds."""

from collections.abc import Mapping

from typing_extensions import override

from engine.core.actions import Call, Declaration, Estate, Prepared, ProbeAnswer, Result
from engine.core.json_value import Json, JsonObject
from engine.ports.action import Action


class WrappedAction(Action):
    """Another action, as it is."""

    def __init__(self, action: Action) -> None:
        self._action = action

    @property
    @override
    def declaration(self) -> Declaration:
        return self._action.declaration

    @override
    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        return self._action.prepare(inputs, estate, connection)

    @override
    async def look(self, call: Call) -> JsonObject:
        return await self._action.look(call)

    @override
    async def execute(self, call: Call) -> Result:
        return await self._action.execute(call)

    @override
    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        return await self._action.probe(call, before)

    @override
    async def close(self) -> None:
        await self._action.close()
