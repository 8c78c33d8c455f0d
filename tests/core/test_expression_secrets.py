"""An expression names a secret by itself, where its place takes one, or it isn't compiled."""

import pytest

from engine.core.expressions import ExpressionError, Scope, ValueType, compile_expression
from engine.core.scopes import INCIDENT, condition_scope
from engine.core.templates import compile_template

NAME = "params.token"
OPEN = Scope({"params.host": ValueType.FORMATTED}, narrow=True, secrets={NAME: ("balancer",)})
TAKING = OPEN.taking_secrets()
VALUES = {"params.token": "${secret:balancer}", "params.host": "gpu-07"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{ params.token }}", "${secret:balancer}"),
        ("Bearer ${{ params.token }}", "Bearer ${secret:balancer}"),
        ("${{params.token}}/${{ params.host }}", "${secret:balancer}/gpu-07"),
    ],
)
def test_it_stands_alone_or_with_text_around_where_it_is_taken(text: str, value: str) -> None:
    assert compile_template(text, TAKING, ValueType.STRING).evaluate(VALUES) == value


def test_only_the_name_alone_has_the_type_of_a_secret() -> None:
    assert compile_template("${{ params.token }}", TAKING).type.secret
    assert not compile_template("a ${{ params.token }}", TAKING).type.secret
    assert not compile_template("${{ params.host }}", TAKING).type.secret


@pytest.mark.parametrize(
    "scope", [OPEN, OPEN.merged(INCIDENT), INCIDENT.merged(OPEN), condition_scope(OPEN)]
)
def test_it_is_refused_where_it_is_not_taken(scope: Scope) -> None:
    with pytest.raises(
        ExpressionError, match=r"'params\.token' is a secret, which doesn't"
    ) as told:
        compile_expression('params.host == "a" || params.token == "b"', scope)
    assert told.value.column == 23


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("params.token + 'x'", 1),
        ("params.token.size()", 1),
        ("params.token.a", 1),
        ("[params.token]", 2),
        ("{'authorization': params.token}", 19),
        ("'' + params . token", 6),
        ("['a'].map(x, params.token)", 14),
        ("has(params.token) ? 1 : 2", 5),
    ],
)
def test_nothing_computes_with_it(text: str, column: int) -> None:
    with pytest.raises(ExpressionError, match="nothing computes with it") as told:
        compile_expression(text, TAKING)
    assert told.value.column == column


@pytest.mark.parametrize(
    "text",
    [".params.token", "params['token']", "params.`token`", "`params`.token", "params", "[params]"],
)
@pytest.mark.parametrize("scope", [OPEN, TAKING])
def test_no_other_spelling_reaches_it(text: str, scope: Scope) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, scope)


def test_a_name_that_only_begins_like_it_is_another_one() -> None:
    scope = OPEN.with_("params.token_id", ValueType.INT)
    assert compile_expression("params.token_id + 1", scope).evaluate({"params.token_id": 6}) == 7
