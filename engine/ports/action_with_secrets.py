"""An action whose calls get the secrets that their plan only refers to, at the last moment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import SecretStr
from typing_extensions import override

from engine.core.actions import Call, ProbeAnswer, Result
from engine.core.json_value import Json, JsonObject
from engine.core.secret_references import reference_to
from engine.errors import PermanentError
from engine.ports.action import Action
from engine.ports.wrapped_action import WrappedAction


class ActionWithSecrets(WrappedAction):
    """Another action, and between it and the run quell.yaml's `secrets`, by name.

    Only the names of `Prepared.secrets` are filled in, which the planner took from the types of
    the playbook's expressions, so a text that looks like a reference stays what it is.
    """

    def __init__(self, action: Action, secrets: Mapping[str, SecretStr]) -> None:
        super().__init__(action)
        self._secrets = secrets

    @override
    async def look(self, call: Call) -> JsonObject:
        return await super().look(self._filled(call))

    @override
    async def execute(self, call: Call) -> Result:
        return await super().execute(self._filled(call))

    @override
    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        return await super().probe(self._filled(call), before)

    def _filled(self, call: Call) -> Call:
        """The call with its secrets. Raises PermanentError where one is gone: nothing was sent."""
        if not call.prepared.secrets:
            return call
        values: dict[str, str] = {}
        for name in call.prepared.secrets:
            if name not in self._secrets:
                raise PermanentError(
                    f"quell.yaml has no secret {name!r} any more, so nothing was done: add it to "
                    "`secrets` and restart quell"
                )
            values[reference_to(name)] = self._secrets[name].get_secret_value()
        payload = {key: _with_values(each, values) for key, each in call.prepared.payload.items()}
        return replace(call, prepared=replace(call.prepared, payload=payload))


def _with_values(value: Json, values: Mapping[str, str]) -> Json:
    """The same with each reference replaced; what is put in isn't looked at again."""
    if isinstance(value, str):
        return _replaced(value, values)
    if isinstance(value, Mapping):
        return {key: _with_values(each, values) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_with_values(each, values) for each in value]
    return value


def _replaced(text: str, values: Mapping[str, str]) -> str:
    for reference, value in values.items():
        before, found, after = text.partition(reference)
        if found:
            return _replaced(before, values) + value + _replaced(after, values)
    return text
