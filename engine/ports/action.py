"""Actions: the code that a step `uses`."""

from collections.abc import Mapping
from typing import Protocol

from engine.core.actions import Call, Declaration, Estate, Prepared, ProbeAnswer, Result
from engine.core.json_value import Json, JsonObject


class Action(Protocol):
    """One action, constructed with its connections; it classifies its own errors."""

    @property
    def declaration(self) -> Declaration:
        """Inputs, outputs, effects; constant."""
        ...

    def prepare(
        self, inputs: Mapping[str, Json], estate: Estate, connection: str | None
    ) -> Prepared:
        """What follows from rendered inputs: pure. Raises PermanentError with what is wrong."""
        ...

    async def look(self, call: Call) -> JsonObject:
        """What `probe` will compare with: a read just before the intent, journaled in it.

        Empty where there is nothing to compare. Raises TransientError or PermanentError.
        """
        ...

    async def execute(self, call: Call) -> Result:
        """Do it.

        Raises TransientError or PermanentError when it is known not to have begun, and
        OutcomeUnknownError when it may have. A read raises no OutcomeUnknownError.
        """
        ...

    async def probe(self, call: Call, before: JsonObject) -> ProbeAnswer:
        """Whether an attempt with an unknown outcome was done; CANNOT_TELL where it can't look.

        `before` is what `look` gave for that attempt.
        """
        ...

    async def close(self) -> None:
        """Give connections back; doing it twice is fine."""
        ...
