"""What the API takes and answers about modes that were raised."""

from pydantic import Field

from engine.core.events import ModesRaised
from engine.ports.api import Answer, Order


class ConfirmOrder(Order):
    """Let everything go as far as this catalog version says; a prefix will do."""

    version: str = Field(min_length=6, max_length=64)
    reason: str = Field(default="", max_length=2000)


class RaisesAnswer(Answer):
    """What waits for a second person; `version` is "" and `raised` empty where nothing does."""

    version: str = ""
    activated_by: str = ""
    raised: tuple[str, ...] = ()


def raises_answer(waiting: tuple[ModesRaised, str] | None) -> RaisesAnswer:
    """What waits, and who activated it."""
    if waiting is None:
        return RaisesAnswer()
    raised, actor = waiting
    return RaisesAnswer(version=raised.version, activated_by=actor, raised=raised.raised)
