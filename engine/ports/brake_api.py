"""What the API takes and answers about the storm brake."""

from datetime import datetime

from pydantic import Field

from engine.core.switches import Switch
from engine.ports.api import Answer, Order


class LiftOrder(Order):
    """Let `auto` act again."""

    reason: str = Field(default="", max_length=2000)


class BrakeAnswer(Answer):
    """Whether nothing acts by itself; `since` is null and `reason` "" while the brake is off."""

    on: bool
    since: datetime | None = None
    reason: str = ""


def brake_answer(switch: Switch | None) -> BrakeAnswer:
    """The storm brake as it is."""
    if switch is None:
        return BrakeAnswer(on=False)
    return BrakeAnswer(on=True, since=switch.at, reason=switch.reason)
