"""What is told as unreachable is never reached, and what a person would call so is told."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.core.classify import classify
from engine.core.matchers import Matcher
from engine.core.rule import Rule
from engine.core.rule_set import RuleSet
from engine.core.severity import Mode, ModeLimit
from engine.core.unreachable import unreachable
from tests.core.test_classify import rule
from tests.core.test_rule_set import labels, matchers
from tests.doubles.declarations import firing

WHEN = 'alert.labels.x == "a"'
OTHER_WHEN = 'alert.labels.y == "a"'
CASES = [{"when": WHEN, "is": "observe"}, {"is": "auto"}]
words = st.fixed_dictionaries(
    {"matchers": st.lists(matchers, max_size=2)},
    optional={
        "when": st.sampled_from((WHEN, OTHER_WHEN)),
        "mode": st.sampled_from(("observe", "approve", CASES)),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(words, min_size=2, max_size=8),
    st.lists(st.tuples(st.sampled_from(("a", "ab", "b")), labels), min_size=1, max_size=6),
)
def test_no_alert_reaches_what_is_told_as_unreachable(
    of_rules: Sequence[Mapping[str, object]], alerts: Sequence[tuple[str, Mapping[str, str]]]
) -> None:
    made = [
        rule(f"r{n}", **{**each, "matchers": _texts(each["matchers"])})
        for n, each in enumerate(of_rules)
    ]
    rules = RuleSet(sorted(made, key=lambda each: each.is_catch_all))
    told = {each.rule.id for each in unreachable(rules)}
    for name, texts in alerts:
        found = classify(structs.replace(firing(name), labels=texts), rules)
        reached = {each.rule.id for each in found.observed}
        reached |= {found.taken.rule.id} if found.taken else set()
        assert not reached & told


def _texts(found: object) -> list[str]:
    assert isinstance(found, list)
    return [str(each) for each in found if isinstance(each, Matcher)]


NAME = 'alertname="Down"'
LLM = 'service=~"llm-.+"'


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        pytest.param({"matchers": [NAME]}, {"matchers": [NAME]}, True, id="the-same"),
        pytest.param({"matchers": [NAME]}, {"matchers": [LLM, NAME]}, True, id="narrower"),
        pytest.param({"matchers": [NAME, LLM]}, {"matchers": [NAME]}, False, id="wider"),
        pytest.param({"matchers": [NAME]}, {"matchers": [LLM]}, False, id="another-label"),
        pytest.param(
            {"matchers": [LLM]},
            {"matchers": ['service="llm-70b"']},
            True,
            id="a-value-of-a-pattern",
        ),
        pytest.param(
            {"matchers": [LLM]}, {"matchers": ['service="gw"']}, False, id="no-value-of-the-pattern"
        ),
        pytest.param(
            {"matchers": ['service!="gw"']},
            {"matchers": ['service="a"']},
            True,
            id="not-that-value",
        ),
        pytest.param(
            {"matchers": [LLM]}, {"matchers": ['service=~"llm-7.+"']}, False, id="two-patterns"
        ),
        pytest.param({"matchers": [NAME]}, {"matchers": [NAME], "when": WHEN}, True, id="a-when"),
        pytest.param(
            {"matchers": [NAME], "when": WHEN}, {"matchers": [NAME]}, False, id="not-without-it"
        ),
        pytest.param(
            {"matchers": [NAME], "when": WHEN},
            {"matchers": [NAME], "when": WHEN},
            True,
            id="the-same-when",
        ),
        pytest.param(
            {"matchers": [NAME], "when": WHEN},
            {"matchers": [NAME], "when": OTHER_WHEN},
            False,
            id="another-when",
        ),
        pytest.param({"when": WHEN}, {"matchers": [NAME], "when": WHEN}, True, id="when-alone"),
        pytest.param({"when": WHEN}, {"when": OTHER_WHEN}, False, id="another-when-alone"),
        pytest.param({}, {}, True, id="two-for-everything"),
        pytest.param(
            {"matchers": [NAME], "mode": "observe"}, {"matchers": [NAME]}, False, id="it-observes"
        ),
        pytest.param(
            {"matchers": [NAME], "mode": CASES}, {"matchers": [NAME]}, False, id="it-may-observe"
        ),
        pytest.param(
            {"matchers": [NAME], "for": "5m"}, {"matchers": [NAME]}, True, id="it-takes-and-waits"
        ),
        pytest.param(
            {"matchers": [NAME], "continue": True}, {"matchers": [NAME]}, False, id="it-continues"
        ),
        pytest.param(
            {"matchers": [NAME], "all_of": {"alerts": [["a=b"], ["c=d"]], "within": "5m"}},
            {"matchers": [NAME]},
            False,
            id="it-takes-some",
        ),
        pytest.param(
            {"matchers": [NAME]}, {"matchers": [NAME], "mode": "observe"}, True, id="who-observes"
        ),
    ],
)
def test_the_second_is_told_where_the_first_takes_all_of_it(
    first: Mapping[str, object], second: Mapping[str, object], is_told: bool
) -> None:
    found = list(unreachable([rule("first", **first), rule("second", **second)]))
    assert [each.rule.id for each in found] == (["second"] if is_told else [])
    if is_told:
        assert found[0].reason == (
            "is never asked: rule 'first' of rules/x.yaml comes first and takes all that it "
            "could take"
        )


@pytest.mark.parametrize(
    ("own", "is_told"),
    [
        (['service="a"', 'service="b"'], True),
        (['service!="a"', 'service="a"'], True),
        (['service=~"llm-.+"', 'service="gw"'], True),
        (['service=""', 'service=~".+"'], True),
        (['service="llm-70b"', 'service=~"llm-.+"'], False),
        (['service=~"a.*"', 'service=~"b.*"'], False),  # only a solver of patterns could tell
    ],
)
def test_matchers_that_exclude_each_other_are_told(own: list[str], is_told: bool) -> None:
    found = [each.reason for each in unreachable([rule("own", matchers=own)])]
    assert len(found) == is_told
    assert all(each.endswith(" exclude each other") for each in found)


def test_a_cap_that_makes_a_rule_observe_lets_others_be_reached() -> None:
    capped = replace(rule("a", matchers=[NAME]), caps=(ModeLimit(Mode.OBSERVE, "shipped"),))
    below: list[Rule] = [capped, rule("b", matchers=[NAME])]
    assert not list(unreachable(below))
