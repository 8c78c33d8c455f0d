"""What a run expects of its own changes, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.core.documents import ExpectedAlerts
from engine.core.expected_alerts import (
    LONGEST_RUN,
    check_expected,
    expected_silences,
    no_longer_expected,
)
from engine.core.mistakes import Mistakes
from engine.core.plan import CalledPlaybook, Plan
from tests.doubles.runs import a_plan, a_playbook

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST_DOWN = {"expected_alerts": {"matchers": ["alertname=HostDown"], "after": "5m"}}
SLOW = {"expected_alerts": {"matchers": ["alertname=Slow"], "after": "1m"}}


def plan(**more: object) -> Plan:
    return a_plan(a_playbook()).model_copy(update={"guards": HOST_DOWN, **more})


def test_it_is_for_the_targets_of_the_plan_until_its_deadline() -> None:
    (found,) = expected_silences(plan(deadline_s=600), "INC-1", NOW)
    assert found.targets == ("host",)
    assert found.matchers == ("alertname=HostDown",)
    assert (found.starts_at, found.ends_at) == (NOW, NOW + timedelta(minutes=15))
    assert found.is_expected
    assert found.comment == "restart of INC-1 expects it of what it changes"


def test_a_plan_without_a_deadline_has_a_day() -> None:
    (found,) = expected_silences(plan(deadline_s=None), "INC-1", NOW)
    assert found.ends_at == NOW + LONGEST_RUN + timedelta(minutes=5)


def test_of_a_target_that_nobody_knows_nothing_is_expected() -> None:
    """Else it were every alert whose target isn't known."""
    whole = plan(deadline_s=600)
    steps = tuple(step.model_copy(update={"targets": ()}) for step in whole.steps)
    assert list(expected_silences(plan(steps=steps), "INC-1", NOW)) == []
    partly = tuple(step.model_copy(update={"targets": ("", "host")}) for step in whole.steps)
    (found,) = expected_silences(plan(steps=partly), "INC-1", NOW)
    assert found.targets == ("host",)


def test_what_is_called_expects_its_own_and_each_has_its_own_end() -> None:
    called = CalledPlaybook(id="mend", text_hash="x", guards=SLOW)
    whole = plan(called=(called,), deadline_s=600)
    found = list(expected_silences(whole, "INC-1", NOW))
    assert [each.matchers for each in found] == [("alertname=HostDown",), ("alertname=Slow",)]
    assert len({each.id for each in found}) == 2
    over = NOW + timedelta(minutes=1)
    ends = [no_longer_expected(each, whole, over).ends_at - over for each in found]
    assert ends == [timedelta(minutes=5), timedelta(minutes=1)]


def test_what_may_last_no_longer_ends_with_the_run() -> None:
    brief = {"expected_alerts": {"matchers": ["alertname=HostDown"], "after": "0s"}}
    whole = plan(guards=brief, deadline_s=600)
    (found,) = expected_silences(whole, "INC-1", NOW)
    over = NOW + timedelta(minutes=1)
    assert found.holds_at(over)
    assert not no_longer_expected(found, whole, over).holds_at(over)


def test_an_end_never_comes_later() -> None:
    (found,) = expected_silences(plan(deadline_s=600), "INC-1", NOW)
    late = NOW + timedelta(minutes=14)
    assert no_longer_expected(found, plan(deadline_s=600), late).ends_at == found.ends_at


@pytest.mark.parametrize(
    ("expected", "path", "message"),
    [
        pytest.param(
            {"matchers": ("a=b", "a~b")}, ("matchers", 1), "isn't an operator", id="matcher"
        ),
        pytest.param({"matchers": ("a=~.*",)}, ("matchers",), "every alert", id="all"),
        pytest.param(
            {"matchers": ("a=b",), "after": "2h"}, ("after",), "1h is the most", id="long"
        ),
        pytest.param({"matchers": ("a=b",), "after": "x"}, ("after",), "a duration", id="after"),
    ],
)
def test_what_can_be_no_such_guard_is_told(
    expected: dict[str, object], path: tuple[str, ...], message: str
) -> None:
    mistakes = Mistakes()
    check_expected(ExpectedAlerts.model_validate(expected), mistakes)
    (found,) = mistakes.found
    assert found.path == path
    assert message in found.message
