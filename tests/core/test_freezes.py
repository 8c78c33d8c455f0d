from datetime import UTC, datetime, timedelta

import pytest

from engine.core.freezes import (
    DEFERRED_AT_MOST,
    freeze_limits,
    freeze_refusal,
    freezes_ahead,
    freezes_over,
)
from engine.core.mistakes import Mistakes
from engine.core.policy import Policy, compile_policy
from engine.core.policy_documents import PolicyDocument
from engine.core.severity import Mode

SATURDAY = datetime(2026, 1, 3, 12, tzinfo=UTC)
MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
PRODUCTION = {"environment": "production"}
STAGING = {"environment": "staging"}


def policy(**freeze: object) -> Policy:
    mistakes = Mistakes()
    written = {
        "language": 1,
        "calendars": {"weekend": {"intervals": [{"weekdays": ["saturday", "sunday"]}]}},
        "freezes": [
            {"id": "f", "calendar": "weekend", "policy": "defer", "why": "closed", **freeze}
        ],
    }
    found = compile_policy(PolicyDocument.model_validate(written), mistakes)
    assert not mistakes.found
    return found


@pytest.mark.parametrize(
    ("when", "subjects", "at", "is_over"),
    [
        (None, [STAGING], SATURDAY, True),
        (None, [STAGING], MONDAY, False),
        ('environment == "production"', [STAGING], SATURDAY, False),
        # One of what it changes is enough.
        ('environment == "production"', [STAGING, PRODUCTION], SATURDAY, True),
    ],
)
def test_what_a_freeze_is_over(
    when: str | None, subjects: list[dict[str, str]], at: datetime, is_over: bool
) -> None:
    found = freezes_over(policy(when=when).freezes, subjects, at)
    assert [each.id for each in found] == (["f"] if is_over else [])


def test_what_each_policy_makes_of_a_run() -> None:
    def refusal(word: str, mode: Mode) -> tuple[str, bool] | None:
        found = freezes_over(policy(policy=word).freezes, [STAGING], SATURDAY)
        refused = freeze_refusal(found, mode, SATURDAY)
        return None if refused is None else (refused.reason, refused.waits)

    told = "freeze f (closed) until 2026-01-05 00:00 UTC"
    assert refusal("defer", Mode.APPROVE) == (told, True)
    assert refusal("skip", Mode.APPROVE) == (told, False)
    assert refusal("ask", Mode.APPROVE) is None
    assert refusal("ask", Mode.AUTO) == (told, True)
    (deferred,) = policy().freezes
    waiting = freeze_refusal([deferred], Mode.AUTO, SATURDAY)
    assert waiting is not None
    assert waiting.longest == DEFERRED_AT_MOST
    (asked,) = policy(policy="ask").freezes
    assert [limit.mode for limit in freeze_limits([asked, deferred])] == [Mode.APPROVE]


def test_what_is_in_force_comes_before_what_begins_soon() -> None:
    calendars = {"weekend": ["saturday", "sunday"], "monday": ["monday"], "tuesday": ["tuesday"]}
    where = {"calendar": "monday", "when": 'environment == "production"'}
    freezes = [
        {"id": "later", "calendar": "tuesday"},
        {"id": "elsewhere", **where},
        {"id": "soon", "calendar": "monday"},
        {"id": "now", "calendar": "weekend"},
    ]
    written = {
        "language": 1,
        "calendars": {name: {"intervals": [{"weekdays": d}]} for name, d in calendars.items()},
        "freezes": [{"policy": "defer", "why": "closed", **each} for each in freezes],
    }
    found = compile_policy(PolicyDocument.model_validate(written), Mistakes()).freezes

    def ahead(days: int) -> list[str]:
        until = SATURDAY + timedelta(days=days)
        return [each.id for each in freezes_ahead(found, [STAGING], SATURDAY, until)]

    assert [ahead(days) for days in (1, 2, 3)] == [
        ["now"],
        ["now", "soon"],
        ["now", "soon", "later"],
    ]


def test_mistakes_of_the_policy_are_told_where_they_stand() -> None:
    mistakes = Mistakes()
    written = {
        "language": 1,
        "calendars": {"weekend": {"intervals": [{"weekdays": ["saturday"]}]}},
        "freezes": [{"id": "f", "calendar": "weekends", "policy": "skip", "why": "x"}],
        "silences": [{"id": "s", "calendar": "weekend", "matchers": ["a=~.*"], "why": "x"}],
    }
    compile_policy(PolicyDocument.model_validate(written), mistakes)
    told = {".".join(map(str, each.path)): each.message for each in mistakes.found}
    assert told.keys() == {"freezes.0.calendar", "silences.0.matchers"}
    assert "did you mean 'weekend'?" in told["freezes.0.calendar"]
