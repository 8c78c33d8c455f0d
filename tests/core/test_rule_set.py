"""The index finds every rule that a full search finds, in the same order."""

from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.matchers import Matcher
from engine.core.rule_set import RuleSet
from tests.core.test_classify import rule

VALUES = ("a", "ab", "abc", "b", "a.c", "", "ä", "aa|b")
PATTERNS = (
    *("a", "a.*", "ab?", "ab*c", "a+b", "a{1,2}", "a|b", "a|ab.+", "(a|b)c", "[ab].*", "a\\.c"),
    *("", ".*", "a|", "|b", "^a$", "(?i)AB", "a.c", "ä.*", "aa\\|b", ".*|a"),
)
matchers = st.one_of(
    st.builds(
        Matcher,
        st.sampled_from(("x", "y", "alertname")),
        st.sampled_from(("=", "!=")),
        st.sampled_from(VALUES),
    ),
    st.builds(
        Matcher,
        st.sampled_from(("x", "y", "alertname")),
        st.sampled_from(("=~", "!~")),
        st.sampled_from(PATTERNS),
    ),
)
labels = st.dictionaries(
    st.sampled_from(("x", "y", "z", "alertname")), st.sampled_from(VALUES), max_size=4
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.lists(matchers, max_size=3), max_size=12), st.lists(labels, min_size=1, max_size=4)
)
def test_the_candidates_hold_all_that_a_full_search_finds(
    of_rules: Sequence[Sequence[Matcher]], alerts: Sequence[Mapping[str, str]]
) -> None:
    rules = RuleSet(
        rule(f"r{n}", matchers=[str(each) for each in found]) for n, found in enumerate(of_rules)
    )
    for each in alerts:
        holding = [r for r in rules if all(m.matches(each) for m in r.matchers)]
        candidates = list(rules.candidates(each))
        assert [r for r in candidates if all(m.matches(each) for m in r.matchers)] == holding
        assert [r.id for r in rules if r in candidates] == [r.id for r in candidates]


def test_only_rules_whose_rarest_matcher_fits_are_asked() -> None:
    rules = RuleSet(
        [
            *(rule(f"r{n}", matchers=['service="llm"', f'alertname="A{n}"']) for n in range(100)),
            rule("prefix", matchers=['service=~"gw-.+"']),
            rule("listed", matchers=['service=~"a|b"']),
            rule("when", when='alert.service == "x"'),
        ]
    )

    def asked(**labels: str) -> list[str]:
        return [each.id for each in rules.candidates(labels)]

    assert asked(service="llm", alertname="A7") == ["r7", "when"]
    assert asked(service="gw-fra") == ["prefix", "when"]
    assert asked(service="b") == ["listed", "when"]
    assert asked() == ["when"]


def test_it_is_a_sequence_of_its_rules() -> None:
    first, second = rule("a"), rule("b")
    rules = RuleSet([first, second])
    assert (list(rules), len(rules), rules[1], rules[:1]) == ([first, second], 2, second, (first,))
    assert rules == RuleSet([first, second])
    assert rules != RuleSet([second, first])
