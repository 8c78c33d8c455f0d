"""An action whose results hold no secret: what is decided on is then what the journal holds."""

import asyncio
from dataclasses import replace

from typing_extensions import override

from engine.core.actions import Call, Result
from engine.core.json_value import JsonObject, canonical_bytes
from engine.errors import PermanentError
from engine.ports.known_secrets import KNOWN
from engine.ports.wrapped_action import WrappedAction

# A longer text of a kind that wasn't met before may take many milliseconds, beside the loop.
INLINE_CHARACTERS = 16 * 1024


class MaskedAction(WrappedAction):
    """Another action, between it and the run.

    The journal masks what it is given as well, but an `until` that saw more than the journal would
    hold again differently after a restart, and texts are cut to their limits on the way there.
    """

    @override
    async def look(self, call: Call) -> JsonObject:
        """See Action. Raises PermanentError where the state before can't be kept as it is.

        What a probe prints later would differ from what was masked, and look like a change.
        """
        before = await super().look(call)
        if name := KNOWN.masker.found(canonical_bytes(before).decode()):
            raise PermanentError(
                f"what the probe prints holds the secret {name}, so it can't be kept to compare "
                "with later: let the probe print less"
            )
        return before

    @override
    async def execute(self, call: Call) -> Result:
        result = await super().execute(call)
        texts = (result.evidence, *result.outputs.values())
        if sum(len(text) for text in texts if isinstance(text, str)) > INLINE_CHARACTERS:
            return await asyncio.to_thread(_masked, result)
        return _masked(result)


def _masked(result: Result) -> Result:
    masker = KNOWN.masker
    return replace(
        result,
        outputs={name: masker.mask_values(each) for name, each in result.outputs.items()},
        evidence=masker.mask(result.evidence),
        error=masker.mask(result.error),
    )
