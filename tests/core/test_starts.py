"""What is given to a playbook is checked where it is written."""

from dataclasses import replace
from typing import Any

import pytest

from engine.core.documents import Parameter
from engine.core.expressions import Bindings, Scope, ValueType
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.parameters import TypedParameter, check_value
from engine.core.scopes import ALERT
from engine.core.starts import Start, StartContext, compile_start
from engine.core.templates import compile_template

RUN = Scope({"params.count": ValueType.INT, "params.unit": ValueType.FORMATTED})
TOKEN = Parameter(type="secret", pattern="balancer|own")
PLAYBOOKS = {
    "scale": {
        "replicas": TypedParameter(Parameter(type="integer", minimum=1)),
        "model": TypedParameter(
            Parameter(type="string"),
            compile_template("${{ alert.labels.model }}", ALERT, ValueType.STRING),
        ),
        "why": TypedParameter(Parameter(type="string"), "it failed"),
    },
    "tell": {"token": TypedParameter(TOKEN)},
    "broken": None,
}


def started(playbook: str, given: dict[str, Any], scope: Scope = RUN) -> tuple[Start, list[str]]:
    mistakes = Mistakes()
    context = StartContext(PLAYBOOKS, Inventory(), scope)
    start = compile_start(playbook, given, context, mistakes)
    return start, [f"{'/'.join(map(str, each.path))}: {each.message}" for each in mistakes.found]


def test_values_and_templates_are_rendered_for_the_playbook() -> None:
    start, told = started(
        "scale", {"replicas": "${{ params.count }}", "model": "llama-${{ params.unit }}"}
    )
    assert not told
    values = start.render_arguments(Bindings({"params.count": 3, "params.unit": "a"}))
    assert values == {"replicas": 3, "model": "llama-a"}


@pytest.mark.parametrize(
    ("playbook", "given", "place", "message"),
    [
        ("scael", {}, "playbook", "did you mean 'scale'?"),
        ("scale", {"model": "a"}, "with", "needs 'replicas' in `with`"),
        ("scale", {}, "playbook", "needs 'replicas' in `with`"),
        ("scale", {"replicas": 2}, "with", "needs 'model' in `with`"),
        ("scale", {"replicas": 0, "model": "a"}, "with/replicas", "below the minimum 1"),
        ("scale", {"replicas": 2, "model": "a", "whi": "b"}, "with/whi", "did you mean 'why'?"),
        ("scale", {"replicas": "${{ params.cuont }}", "model": "a"}, "with/replicas", "count"),
    ],
)
def test_what_does_not_fit_is_told_in_its_place(
    playbook: str, given: dict[str, Any], place: str, message: str
) -> None:
    _, told = started(playbook, given)
    assert any(each.startswith(f"{place}: ") and message in each for each in told), told


def test_a_rule_knows_the_alert_so_a_default_made_of_it_is_enough() -> None:
    assert started("scale", {"replicas": 2}, ALERT)[1] == []


WITH_SECRET = replace(RUN, narrow=True, secrets={"params.key": ("own",)})


@pytest.mark.parametrize(
    ("given", "scope", "value"),
    [
        pytest.param("balancer", ALERT, "${secret:balancer}", id="a rule's constant"),
        pytest.param("balancer", WITH_SECRET, "${secret:balancer}", id="a playbook's constant"),
        pytest.param("${{ params.key }}", WITH_SECRET, "${secret:own}", id="another parameter"),
    ],
)
def test_a_secret_is_chosen_by_an_author(given: str, scope: Scope, value: str) -> None:
    start, told = started("tell", {"token": given}, scope)
    assert not told
    rendered = start.render_arguments(Bindings({"params.key": "${secret:own}"}))
    assert check_value(TOKEN, rendered["token"]) == value


@pytest.mark.parametrize(
    ("given", "scope"),
    [
        pytest.param("${{ alert.labels.secret }}", ALERT, id="a label"),
        pytest.param("${{ 'balancer' }}", ALERT, id="a constant in an expression"),
        pytest.param("${{ params.unit }}", WITH_SECRET, id="a parameter that is a text"),
        pytest.param("balancer-${{ params.unit }}", WITH_SECRET, id="a part of the name"),
        pytest.param("x${{ params.key }}", WITH_SECRET, id="a text around a secret"),
    ],
)
def test_nothing_from_outside_chooses_a_secret(given: str, scope: Scope) -> None:
    _, told = started("tell", {"token": given}, scope)
    assert [each.partition(",")[0] for each in told] == [
        "with/token: a secret is chosen by its name"
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        pytest.param(("own", "balancer"), [], id="all are taken"),
        pytest.param((), [], id="a pattern, of which only a plan can tell"),
        pytest.param(
            ("own", "slack", "store"),
            ["with/token: params.key may hand on a secret that is not taken: 'slack' isn't one of"],
            id="one of them is not",
        ),
    ],
)
def test_a_secret_that_may_be_handed_on_has_to_be_taken(
    names: tuple[str, ...], told: list[str]
) -> None:
    scope = replace(WITH_SECRET, secrets={"params.key": names})
    _, found = started("tell", {"token": "${{ params.key }}"}, scope)
    assert [each.partition(" the secrets")[0] for each in found] == told


def test_a_secret_is_given_only_to_a_parameter_that_is_one() -> None:
    _, told = started("scale", {"replicas": 1, "model": "${{ params.key }}"}, WITH_SECRET)
    assert [each.partition(",")[0] for each in told] == ["with/model: 'params.key' is a secret"]


def test_a_playbook_with_mistakes_gives_its_starter_none() -> None:
    assert started("broken", {"anything": 1})[1] == []
