"""What the API takes and answers about breakers."""

from pydantic import Field

from engine.ports.api import Answer, Order


class TryOrder(Order):
    """Let one more run of a playbook try, everywhere or on one target."""

    target: str = Field(default="", max_length=2000)
    reason: str = Field(default="", max_length=2000)


class TryAnswer(Answer):
    """The incidents whose runs had failed in a row, and are excused."""

    playbook: str
    excused: tuple[str, ...]
