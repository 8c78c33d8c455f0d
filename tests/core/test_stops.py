"""Which runs a stop covers, and what those who are stopped are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.core.stops import Stop, stopped_by

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = Stop("all", "", "local:me", "wrong region", AT)
RULE = Stop("rule", "down", "slack:T1/U1", "too many", AT)
PLAYBOOK = Stop("playbook", "restart", "file", "", AT)


@pytest.mark.parametrize(
    ("stop", "rule", "playbook", "covered"),
    [
        pytest.param(ALL, "down", "restart", True, id="all"),
        pytest.param(ALL, "", "", True, id="all, whatever it is"),
        pytest.param(RULE, "down", "other", True, id="its rule"),
        pytest.param(RULE, "slow", "down", False, id="another rule, and a playbook of that name"),
        pytest.param(PLAYBOOK, "other", "restart", True, id="its playbook"),
        pytest.param(PLAYBOOK, "restart", "drain", False, id="another playbook"),
    ],
)
def test_a_stop_covers_what_it_names(stop: Stop, rule: str, playbook: str, covered: bool) -> None:
    assert stop.covers(rule, playbook) is covered
    assert bool(stopped_by([stop], rule, playbook)) is covered
    assert bool(stopped_by([stop], rule, "a-caller", playbook)) is covered


@pytest.mark.parametrize(
    ("stop", "what", "sentence"),
    [
        (ALL, "everything", "stopped by local:me: wrong region"),
        (RULE, "rule 'down'", "stopped by slack:T1/U1: too many"),
        (PLAYBOOK, "playbook 'restart'", "stopped by file"),
    ],
    ids=["all", "rule", "playbook without a reason"],
)
def test_a_stop_says_what_by_whom_and_why(stop: Stop, what: str, sentence: str) -> None:
    assert (stop.what, stop.sentence) == (what, sentence)


def test_of_several_the_oldest_is_told() -> None:
    older = replace(RULE, at=AT - timedelta(minutes=1))
    assert stopped_by([ALL, older], "down", "restart") == older.sentence
    assert stopped_by([ALL, older], "slow", "restart") == ALL.sentence
    assert stopped_by([], "down", "restart") == ""
