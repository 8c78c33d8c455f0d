"""What the API takes and answers about what others changed."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from engine.ports.api import Answer, Order

Name = Annotated[str, Field(min_length=1, max_length=500)]


class ChangeOrder(Order):
    """Somebody changed these targets (ids or aliases) just now, and these services as a whole."""

    what: str = Field(min_length=1, max_length=200)
    targets: tuple[Name, ...] = Field(default=(), max_length=500)
    services: tuple[Name, ...] = Field(default=(), max_length=100)
    reason: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.targets and not self.services:
            raise ValueError("name what was changed: targets, services, or both")
        return self


class ChangeAnswer(Answer):
    """What was kept, with ids for aliases."""

    what: str
    targets: tuple[str, ...]
    services: tuple[str, ...]
