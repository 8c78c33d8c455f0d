"""`ask`: a question to people.

Before the plan is made its answer is an input; between steps it only decides `if`s.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.core import events
from engine.core.compiling import compile_duration, compile_text
from engine.core.documents import Ask
from engine.core.expressions import Scope, ValueType
from engine.core.mistakes import Mistakes
from engine.core.plan import PlannedQuestion
from engine.core.templates import Template

# What a question gives: one of its choices, as its author wrote them.
GIVES: Mapping[str, ValueType] = {"answer": ValueType.FORMATTED}


@dataclass(frozen=True, slots=True)
class Asking:
    """A checked `ask`. `ask` are the roles of those who may answer."""

    question: Template | str
    choices: tuple[str, ...]
    ask: tuple[str, ...]
    expires: timedelta


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a run in progress; `answer` is "" until somebody gave one."""

    step_id: str
    text: str
    choices: tuple[str, ...]
    ask: tuple[str, ...]
    expires_at: datetime
    answer: str = ""
    actor: str = ""
    is_over: bool = False
    phase: Literal["investigate", "steps"] = "investigate"


def check_asked(asked: Sequence[str], roles: Collection[str], mistakes: Mistakes) -> None:
    """Check who is asked for an approval or an answer; no `roles`: they aren't known here."""
    for index, who in enumerate(asked):
        here = mistakes.at(index)
        kind, _, name = who.partition(":")
        if kind != "role" or not name:
            here.add(f"{who!r} isn't a role; write it like 'role:oncall'")
        elif roles and name not in roles:
            here.unknown("role", name, roles)


def compile_ask(document: Ask, inputs: Scope, roles: Collection[str], mistakes: Mistakes) -> Asking:
    """The question; its text sees what inputs see."""
    if len(set(document.choices)) < len(document.choices):
        mistakes.at("choices").add("a choice is there twice")
    check_asked(document.from_, roles, mistakes.at("from"))
    text = compile_text(document.question, inputs, ValueType.STRING, mistakes.at("question"))
    return Asking(
        text or "",
        document.choices,
        document.from_,
        compile_duration(document.expires, mistakes.at("expires")),
    )


def planned_question(asking: Asking, text: str) -> PlannedQuestion:
    """The question with its text filled in."""
    return PlannedQuestion(
        text=text,
        choices=asking.choices,
        ask=asking.ask,
        expires_s=asking.expires.total_seconds(),
    )


def question_of(event: events.QuestionAsked) -> Question:
    """The question right after it was asked."""
    expires_at = events.moment(event.expires_at)
    return Question(
        event.step_id, event.question, event.choices, event.ask, expires_at, phase=event.phase
    )


def unanswered(questions: Mapping[str, Question]) -> Sequence[Question]:
    """Those that wait for somebody."""
    return [each for each in questions.values() if not each.is_over]
