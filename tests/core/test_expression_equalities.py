"""Conditions that compare texts come to what CEL makes of them."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.expression_equalities import equalities
from engine.core.expression_tokens import read_tokens
from engine.core.expressions import ExpressionFailedError, Scope, ValueType, compile_expression

SCOPE = Scope(
    {
        "alert.service": ValueType.STRING,
        "alert.region": ValueType.STRING,
        "alert.labels": ValueType.LABELS,
        "count": ValueType.INT,
    }
)


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ('alert.service == "llm"', (("alert.service", "llm"),)),
        ("alert.service=='llm'", (("alert.service", "llm"),)),
        ('alert.service == ""', (("alert.service", ""),)),
        (
            'alert.service == "a" && alert.region == "b"',
            (("alert.service", "a"), ("alert.region", "b")),
        ),
        ('alert.service == "a" || alert.region == "b"', ()),
        ('(alert.service == "a")', ()),
        ('alert.service != "a"', ()),
        ('"a" == alert.service', ()),
        ('alert.service == "a" + "b"', ()),
        ('alert.service == "a" && count == 1', ()),
        ('alert.labels.tier == "a"', ()),
        (r'alert.service == "\x61"', ()),
        ('alert.service == r"a"', ()),
        ('alert.service == """a"""', ()),
        ("alert.service == alert.region", ()),
    ],
)
def test_only_comparisons_of_a_name_with_a_plain_text_are_read(
    text: str, compared: tuple[tuple[str, str], ...]
) -> None:
    compile_expression(text, SCOPE)
    assert equalities(read_tokens(text), SCOPE) == compared


def outcome(text: str, values: Mapping[str, object], *, by_cel: bool) -> object:
    expression = compile_expression(text, SCOPE, ValueType.BOOL)
    assert expression._compared
    try:
        return (replace(expression, _compared=()) if by_cel else expression).evaluate(values)
    except ExpressionFailedError as error:
        return str(error)


# Without NUL, behind which CEL's library loses what is left of a text.
TEXTS = st.sampled_from(["", "a", "A", "ä", "a\u0308", "模"])


@given(
    asked=st.lists(
        st.tuples(st.sampled_from(["alert.service", "alert.region"]), TEXTS), min_size=1, max_size=3
    ),
    service=st.none() | TEXTS,
    region=st.none() | TEXTS,
)
def test_they_come_to_what_cel_makes_of_them(
    asked: list[tuple[str, str]], service: str | None, region: str | None
) -> None:
    text = " && ".join(f'{name} == "{value}"' for name, value in asked)
    known = {"alert.service": service, "alert.region": region}
    values = {name: value for name, value in known.items() if value is not None}
    assert outcome(text, values, by_cel=False) == outcome(text, values, by_cel=True)
