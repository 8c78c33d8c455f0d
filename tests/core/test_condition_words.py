from datetime import timedelta

import pytest

from engine.core.condition_words import compile_conditions
from engine.core.conditions import AT_ONCE, Conditions
from engine.core.mistakes import Mistakes
from engine.core.rule_documents import RuleDocument
from engine.core.severity import Severity

RULE = {
    "id": "down",
    "description": "It is down",
    "matchers": ['alertname="Down"'],
    "severity": "P3",
}


def compiled(**words: object) -> tuple[Conditions, list[tuple[str, int, str]]]:
    mistakes = Mistakes()
    found = compile_conditions(RuleDocument.model_validate({**RULE, **words}), mistakes)
    return found, [(".".join(map(str, m.path)), m.column, m.message) for m in mistakes.found]


def test_a_rule_without_such_words_acts_at_once() -> None:
    found, told = compiled()
    assert found is AT_ONCE
    assert not told
    assert not found.may_hold


def test_every_word_is_compiled() -> None:
    found, told = compiled(
        **{"for": "1m"},
        inhibited_by={"matchers": ['alertname="RegionOutage"'], "equal": ["region"]},
        window={"at_least": 3, "distinct": "instance", "within": "5m"},
        flapping={"at_least": 4, "within": "30m", "stable_for": "10m"},
        absorbs="dependants",
        absorbed_by="dependencies",
        escalate=[{"firing": 10, "is": "P1"}, {"after": "1h", "is": "P2"}],
    )
    assert not told
    assert found.for_ == timedelta(minutes=1)
    assert found.window is not None
    assert found.window.of == "occurrences"
    assert found.flapping is not None
    assert found.flapping.stable_for == timedelta(minutes=10)
    assert (found.absorbs, found.absorbed) == (True, True)
    assert [(e.severity, e.firing, e.after) for e in found.escalate] == [
        (Severity.P1, 10, None),
        (Severity.P2, None, timedelta(hours=1)),
    ]
    assert list(found.told()) == [
        'not while alertname="RegionOutage" fires',
        "once it has fired for 1m",
        "once there are 3 values of instance within 5m",
    ]


def test_an_edit_of_what_is_counted_begins_it_anew_and_one_of_for_does_not() -> None:
    window = {"at_least": 3, "within": "5m"}
    before, _ = compiled(window=window)
    assert compiled(window=window, **{"for": "1m"})[0].definition == before.definition
    edited, _ = compiled(window={**window, "at_least": 4})
    assert edited.definition != before.definition
    assert compiled(window=window, group_by=["region"])[0].definition != before.definition


@pytest.mark.parametrize(
    ("words", "path", "message"),
    [
        pytest.param({"for": "1 minute"}, "for", "isn't a duration", id="for"),
        pytest.param({"for": "0s"}, "for", "is no time at all", id="for-nothing"),
        pytest.param(
            {"window": {"at_least": 3, "within": "soon"}},
            "window.within",
            "isn't a duration",
            id="within",
        ),
        pytest.param(
            {"inhibited_by": {"matchers": ["a~b"]}}, "inhibited_by.matchers.0", "a=~", id="matcher"
        ),
        pytest.param(
            {"all_of": {"alerts": [["a=b"], []], "within": "5m"}},
            "all_of.alerts.1",
            "an alert without matchers is any alert",
            id="part",
        ),
        pytest.param(
            {"absent": {"for": "10m"}, "window": {"at_least": 2, "within": "5m"}},
            "absent",
            "`absent` and `window` don't go together",
            id="together",
        ),
        pytest.param(
            {"absent": {"for": "10m"}, "for": "1m"}, "absent", "`absent` and `for`", id="absent-for"
        ),
        pytest.param(
            {"absent": {"for": "10m", "expect_from_start": True}},
            "absent.expect_from_start",
            "nothing says which service to expect",
            id="expected",
        ),
        pytest.param({"escalate": [{"is": "P1"}]}, "escalate.0", "write either", id="neither"),
        pytest.param(
            {"escalate": [{"firing": 2, "after": "1h", "is": "P1"}]},
            "escalate.0",
            "write either",
            id="both",
        ),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    words: dict[str, object], path: str, message: str
) -> None:
    _, told = compiled(**words)
    assert [where for where, _, _ in told] == [path]
    assert message in told[0][2]


def test_a_heartbeat_may_be_expected_where_its_group_is_named() -> None:
    absent = {"for": "10m", "expect_from_start": True}
    named = ['alertname="Watchdog"', 'service="prometheus"']
    assert not compiled(absent=absent, matchers=named)[1]
    assert not compiled(absent=absent, group_by=[])[1]


def test_a_part_that_the_rules_own_matchers_exclude_is_a_mistake() -> None:
    parts = [['alertname="Down"', 'a="b"'], ['alertname="Slow"']]
    _, told = compiled(all_of={"alerts": parts, "within": "5m"})
    assert told == [
        (
            "all_of.alerts.1",
            0,
            'no alert is this one: alertname="Down" and alertname="Slow" exclude each other, and '
            "the rule's own `matchers` hold for every alert of `all_of`",
        )
    ]
