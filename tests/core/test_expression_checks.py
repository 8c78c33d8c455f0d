"""Labels are always bound, fields of elements are checked, literal durations too."""

import pytest

from engine.core.expression_checks import check_words
from engine.core.expression_tokens import read_tokens
from engine.core.expression_types import ExpressionError, Scope, ValueType

ALERT = ValueType.object_of(
    {
        "name": ValueType.STRING,
        "labels": ValueType.LABELS,
        "annotations": ValueType.LABELS,
    }
)
SCOPE = Scope(
    {
        "alerts": ValueType.list_of(ALERT),
        "result.body": ValueType.DYN,
        "params.window": ValueType.DURATION,
        "params.key": ValueType.STRING,
    }
).with_("alert", ALERT)

NAMED = {
    "none": ("alert.name", set()),
    "by a dot": ('alert.labels.tier != "dev"', {"tier"}),
    "by a text": ("alert.labels['a-b'] == \"\"", {"a-b"}),
    "in backquotes": ("alert.labels.`a-b` == ''", {"a-b"}),
    "of both maps": ("alert.labels.a + alert.annotations.b", {"a", "b"}),
    "of an element": ("alerts.exists(each, each.labels.q == '')", {"q"}),
    "through an index": ("alerts[0].labels.q", {"q"}),
    "through a filter": ("alerts.filter(a, a.labels.p == '')[0].labels.q", {"p", "q"}),
    "size isn't a label": ("alert.labels.size()", set()),
    "another map of labels is bound too, which harms nobody": ("result.body.labels.x", {"x"}),
}


@pytest.mark.parametrize(("text", "labels"), NAMED.values(), ids=NAMED)
def test_finds_the_labels_that_are_named(text: str, labels: set[str]) -> None:
    assert check_words(read_tokens(text), SCOPE) == labels


ALWAYS_THERE = 'a label is always there, "" when it is absent: write '
REFUSED = {
    "has of a label": ("has(alert.labels.x)", 5, ALWAYS_THERE + 'alert.labels.x != ""'),
    "has of an element's label": (
        "alerts.all(a, has(a.labels.x))",
        19,
        ALWAYS_THERE + 'a.labels.x != ""',
    ),
    "has through an index": (
        "has(alerts[0].labels.x)",
        5,
        ALWAYS_THERE + 'alerts[0].labels.x != ""',
    ),
    "has through a filter": (
        "alerts.filter(a, true).exists(b, has(b.labels.x))",
        38,
        ALWAYS_THERE + 'b.labels.x != ""',
    ),
    "in": ('"x" in alert.labels', 8, ALWAYS_THERE + 'alert.labels["name"] != ""'),
    "computed label": (
        "alert.labels[params.key]",
        13,
        'write the label as a text in quotes: alert.labels["name"]',
    ),
    "has of a declared name": (
        "has(alert.name)",
        5,
        "'alert.name' is always there; has() is for a field of a value, like result.body.field",
    ),
    "misspelt field": (
        "alerts.exists(a, a.nmae == 'x')",
        20,
        "'a' has no field 'nmae', did you mean 'name'?",
    ),
    "strange field": (
        "alerts.exists(a, a.zzz == 'x')",
        20,
        "'a' has no field 'zzz'; it has annotations, labels, name",
    ),
    "literal that is no duration": ('params.window > duration("5x")', 26, "'5x' isn't a duration"),
    "label with an escape": (r'alert.labels["a\b"]', 14, "write this text without a backslash"),
}


@pytest.mark.parametrize(("text", "column", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_the_type_checker_lets_pass(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check_words(read_tokens(text), SCOPE)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


ALLOWED = {
    "has of a field": "has(result.body.x)",
    "has of another map of labels": "has(result.body.labels.x)",
    "in another map of labels": '"x" in result.body.labels',
    "in another map of labels in a loop": 'result.body.pods.exists(p, "x" in p.metadata.labels)',
    "computed key of another map": "result.body.labels[params.key]",
    "any field of another list": "result.body.pods.exists(p, p.anything)",
    "any field behind map": "alerts.map(a, a.labels.x).exists(b, b.anything)",
    "computed duration": 'duration(params.key + "m")',
    "a joined literal": 'duration("5" + params.key)',
    "a map of labels as a whole": "alert.labels",
}


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_lets_pass_what_is_no_label(text: str) -> None:
    check_words(read_tokens(text), SCOPE)
