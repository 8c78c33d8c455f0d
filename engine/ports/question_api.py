"""What the API takes of questions that runs ask."""

from pydantic import Field

from engine.ports.api import Order


class AnswerOrder(Order):
    """One of a question's choices; without `step` for the only question that waits."""

    answer: str = Field(min_length=1, max_length=100)
    step: str = Field(default="", max_length=1000)
    reason: str = Field(default="", max_length=2000)
