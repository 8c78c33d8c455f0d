"""What the API says of rules: which alerts wait, and how far each rule has earned trust."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field

from engine.ports.api import Answer, Order


class WaitingAlert(Answer):
    """An alert that fires and doesn't act by a rule yet; `until` is null where no time is known."""

    name: str
    service: str
    fingerprint: str
    rule: str
    kind: str
    since: datetime
    until: datetime | None


class WaitingAnswer(Answer):
    """The latest first."""

    waiting: tuple[WaitingAlert, ...]


class StandingAnswer(Answer):
    """One rule in one environment; `lacks` is what it needs to be proposed for auto, "" nothing.

    `at_least` is the share that was right, by Wilson's lower bound of 95 %.
    """

    rule: str
    environment: str
    mode: Literal["observe", "suggest", "approve", "auto"]
    cases: int
    right: int
    wrong: int
    unjudged: int
    verified: int
    not_needed: int
    recurred: int
    guards: Mapping[str, int]
    since: datetime
    at_least: float
    lacks: str


class TrustAnswer(Answer):
    """By rule and environment."""

    standings: tuple[StandingAnswer, ...]


class JudgeOrder(Order):
    """Whether an incident's run was, or would have been, the right thing."""

    verdict: Literal["right", "wrong"]
    reason: str = Field(default="", max_length=2000)
