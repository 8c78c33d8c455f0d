from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.documents import InventoryDocument, Parameter
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.parameters import (
    ParameterError,
    TypedParameter,
    check_parameters,
    check_value,
    spec_problem,
)
from engine.core.scopes import ALERT, alert_bindings
from engine.core.templates import compile_template
from tests.doubles.declarations import firing

INVENTORY = build_inventory(
    InventoryDocument.model_validate(
        {
            "language": 1,
            "targets": {
                "gpu-07": {"kind": "host", "aliases": ["gpu-07:9100"]},
                "prom": {"kind": "endpoint"},
            },
        }
    ),
    Mistakes(),
)


def spec(**words: object) -> Parameter:
    return Parameter.model_validate(words)


HOSTS = spec(type="list", items={"type": "target", "kind": "host"})
PORTS = spec(type="list", items={"type": "integer", "maximum": 65535}, min_items=0, max_items=2)
WORDS = spec(type="list", items={"type": "string"})


@pytest.mark.parametrize(
    ("parameter", "value", "typed"),
    [
        pytest.param(spec(type="string"), "a b", "a b", id="text"),
        pytest.param(spec(type="string", pattern="[a-z]+"), "abc", "abc", id="pattern"),
        pytest.param(spec(type="string", format="host"), "gpu-07.fra.example", None, id="host"),
        pytest.param(spec(type="string", format="host"), "10.0.0.1", None, id="ipv4"),
        pytest.param(spec(type="string", format="host"), "fd00::1", None, id="ipv6"),
        pytest.param(spec(type="string", format="port"), "65535", None, id="port"),
        pytest.param(spec(type="string", format="address"), "gpu-07:9100", None, id="address"),
        pytest.param(spec(type="string", format="path"), "/var/lib/models", None, id="path"),
        pytest.param(spec(type="string", format="path_segment"), "models--a", None, id="segment"),
        pytest.param(spec(type="string", format="url"), "http://a:8000/v1?x=1", None, id="url"),
        pytest.param(spec(type="integer"), "5", 5, id="a-label-as-integer"),
        pytest.param(spec(type="integer"), -5, -5, id="integer"),
        pytest.param(spec(type="number"), "1.5", 1.5, id="a-label-as-number"),
        pytest.param(spec(type="number"), 2, 2.0, id="an-int-is-a-number"),
        pytest.param(spec(type="boolean"), "true", True, id="a-label-as-boolean"),
        pytest.param(spec(type="boolean"), False, False, id="boolean"),
        pytest.param(spec(type="enum", values=["a", "b"]), "b", "b", id="enum"),
        pytest.param(spec(type="target", kind="host"), "gpu-07:9100", "gpu-07", id="alias"),
        pytest.param(HOSTS, ["gpu-07:9100"], ["gpu-07"], id="list"),
        pytest.param(HOSTS, "gpu-07", ["gpu-07"], id="a-label-as-list"),
        pytest.param(HOSTS, '["gpu-07"]', ["gpu-07"], id="json-as-list"),
        pytest.param(PORTS, "1,2", [1, 2], id="list-cut-at-commas"),
        pytest.param(PORTS, "", [], id="list-of-nothing"),
        pytest.param(WORDS, '["a,b", "c"]', ["a,b", "c"], id="a-comma-in-an-item"),
    ],
)
def test_a_value_that_fits_is_typed(parameter: Parameter, value: object, typed: object) -> None:
    found = check_value(parameter, value, INVENTORY)
    expected = value if typed is None else typed
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [
        pytest.param(spec(type="string"), 5, "put it in quotes", id="number-for-text"),
        pytest.param(spec(type="string"), "a\0", "NUL", id="nul"),
        pytest.param(spec(type="string"), "\ud800", "Unicode", id="half-a-pair"),
        pytest.param(spec(type="string"), "x" * 5000, "4096", id="too-long"),
        pytest.param(spec(type="string", pattern="[a-z]+"), "abc; rm", "pattern", id="anchored"),
        pytest.param(spec(type="string", pattern="[a-z]+"), "abc\n", "pattern", id="newline"),
        pytest.param(spec(type="string", format="host"), "-x", "host name", id="option-as-host"),
        pytest.param(spec(type="string", format="host"), "a b", "host name", id="blank-in-host"),
        pytest.param(spec(type="string", format="port"), "65536", "port", id="port-too-high"),
        pytest.param(spec(type="string", format="path"), "/a/../b", "path", id="climbing-path"),
        pytest.param(spec(type="string", format="path"), "a/b", "absolute", id="relative-path"),
        pytest.param(spec(type="string", format="path_segment"), "a/b", "part", id="slash"),
        pytest.param(spec(type="string", format="path_segment"), "..", "part", id="parent"),
        pytest.param(spec(type="string", format="path_segment"), "-rf", "part", id="option"),
        pytest.param(spec(type="string", format="url"), "file:///etc", "URL", id="file-url"),
        pytest.param(spec(type="integer"), "5.0", "integer", id="double-for-integer"),
        pytest.param(spec(type="integer"), " 5", "integer", id="blank"),
        pytest.param(spec(type="integer"), True, "integer", id="bool-for-integer"),
        pytest.param(spec(type="integer"), 2.0, "integer", id="float-for-integer"),
        pytest.param(spec(type="integer", minimum=1), "0", "minimum 1", id="below"),
        pytest.param(spec(type="number", maximum=1), 1.5, "maximum 1", id="above"),
        pytest.param(spec(type="number"), float("nan"), "out of range", id="nan"),
        pytest.param(spec(type="number"), "1e3", "number", id="exponent"),
        pytest.param(spec(type="boolean"), "yes", "true or false", id="yes"),
        pytest.param(spec(type="enum", values=["a", "b"]), "c", "a, b", id="not-in-enum"),
        pytest.param(spec(type="target"), "gpu-7", "did you mean 'gpu-07'", id="nearest-target"),
        pytest.param(spec(type="target"), "", "add it or an alias", id="no-target"),
        pytest.param(spec(type="target", kind="host"), "prom", "a host is needed", id="kind"),
        pytest.param(spec(type="target"), 7, "isn't the id", id="number-for-target"),
        pytest.param(HOSTS, [], "has 0 items, and it needs at least 1", id="empty-list"),
        pytest.param(PORTS, "1,2,3", "at most 2", id="list-too-long"),
        pytest.param(PORTS, "1, 2", "item 2: ' 2' isn't an integer", id="blank-in-a-list"),
        pytest.param(PORTS, "[1,", "isn't JSON", id="bad-json"),
        pytest.param(PORTS, 7, r"write it like \[a, b\]", id="number-for-list"),
        pytest.param(PORTS, {"a": 1}, "isn't a list", id="map-for-list"),
        pytest.param(
            HOSTS, "gpu-07,gpu-07:9100", "item 2: 'gpu-07' is there twice", id="alias-of-an-item"
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    parameter: Parameter, value: object, says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        check_value(parameter, value, INVENTORY)


@given(st.text(max_size=60))
def test_no_text_passes_as_a_path_that_climbs_or_as_an_option(text: str) -> None:
    for format_ in ("path", "path_segment", "host", "address"):
        try:
            found = check_value(spec(type="string", format=format_), text)
        except ParameterError:
            continue
        assert isinstance(found, str)
        assert not found.startswith("-")
        assert ".." not in found.split("/")
        assert not set(found) & set(" \n\t'\"`$;|&<>(){}*\\")


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        pytest.param(spec(type="string", pattern="(a"), "RE2", id="bad-pattern"),
        pytest.param(spec(type="enum"), "needs `values`", id="empty-enum"),
        pytest.param(spec(type="string", values=["a"]), "types enum", id="values-of-text"),
        pytest.param(spec(type="secret"), "say which secrets it takes", id="any-secret"),
        pytest.param(
            spec(type="secret", values=["a"], pattern="a"), "write one", id="both-of-secret"
        ),
        pytest.param(spec(type="integer", pattern="a"), "types string", id="pattern-of-number"),
        pytest.param(spec(type="string", minimum=1), "numbers", id="minimum-of-text"),
        pytest.param(spec(type="string", kind="host"), "type target", id="kind-of-text"),
        pytest.param(spec(type="string", pattern="a"), "", id="fine"),
        pytest.param(spec(type="list"), "needs `items`", id="list-of-what"),
        pytest.param(spec(type="string", max_items=3), "type list", id="size-of-text"),
        pytest.param(
            spec(type="list", items={"type": "string"}, min_items=3, max_items=2),
            "no list has both",
            id="sizes-that-exclude-each-other",
        ),
        pytest.param(
            spec(type="list", items={"type": "enum"}), "items: an enum needs", id="bad-items"
        ),
        pytest.param(WORDS, "", id="list"),
    ],
)
def test_a_definition_with_words_of_another_type_is_refused(
    parameter: Parameter, says: str
) -> None:
    found = spec_problem(parameter)
    assert says in found if says else not found


SECRET = spec(type="secret", pattern="bal.+")


@pytest.mark.parametrize("value", ["balancer-token", "${secret:balancer-token}"])
def test_a_secret_is_given_by_its_name_and_becomes_the_reference(value: str) -> None:
    known = replace(INVENTORY, secrets=frozenset({"balancer-token"}))
    for inventory in (known, INVENTORY, None):
        assert check_value(SECRET, value, inventory) == "${secret:balancer-token}"


def test_a_secret_that_quell_yaml_does_not_have_is_told_with_the_nearest() -> None:
    known = replace(INVENTORY, secrets=frozenset({"balancer-token"}))
    with pytest.raises(ParameterError, match=r"'balancer' is none .*did you mean 'balancer-token'"):
        check_value(SECRET, "balancer", known)
    with pytest.raises(ParameterError, match="'balancer' is none of the `secrets`"):
        check_value(SECRET, "balancer", replace(INVENTORY, secrets=frozenset()))


@pytest.mark.parametrize(
    ("parameter", "taken", "refused", "says"),
    [
        pytest.param(
            spec(type="secret", values=["a", "b"]), "b", "c", r"takes \(a, b\)", id="values"
        ),
        pytest.param(
            spec(type="secret", pattern="lb-.+"), "lb-1", "x-lb-1", "like 'lb-.+'", id="pattern"
        ),
        pytest.param(spec(type="secret", default="a"), "a", "b", r"takes \(a\)", id="default"),
        pytest.param(
            spec(type="secret", default="a", values=["a", "b"]), "b", "c", "a, b", id="both"
        ),
    ],
)
def test_a_secret_that_the_playbook_does_not_name_is_refused(
    parameter: Parameter, taken: str, refused: str, says: str
) -> None:
    known = replace(INVENTORY, secrets=frozenset({taken, refused}))
    assert check_value(parameter, taken, known) == f"${{secret:{taken}}}"
    for each in (refused, f"${{secret:{refused}}}"):
        with pytest.raises(ParameterError, match=says):
            check_value(parameter, each, known)


@pytest.mark.parametrize(
    "value", [7, None, ["a"], "", "hunter2 and more", "${env:A}", "a}${secret:b"]
)
def test_what_is_no_name_of_a_secret_is_not_shown(value: object) -> None:
    with pytest.raises(ParameterError) as told:
        check_value(SECRET, value)
    assert str(told.value) == (
        "this isn't the name of a secret; quell.yaml has them under `secrets`"
    )


def test_given_values_are_typed_and_defaults_filled_in_from_the_alert() -> None:
    parameters = {
        "host": TypedParameter(
            spec(type="target"), compile_template("${{ alert.labels.instance }}", ALERT)
        ),
        "lines": TypedParameter(spec(type="integer", default=40), 40),
        "model": TypedParameter(spec(type="string")),
    }
    alert = alert_bindings(firing("Down", instance="gpu-07:9100"))
    found = check_parameters(parameters, {"model": "llama"}, INVENTORY, alert)
    assert not found.problems
    assert found.values == {"host": "gpu-07", "lines": 40, "model": "llama"}


def test_all_problems_are_told_at_once_and_then_there_are_no_values() -> None:
    parameters = {
        "host": TypedParameter(
            spec(type="target"), compile_template("${{ alert.labels.instance }}", ALERT)
        ),
        "model": TypedParameter(spec(type="string")),
        "lines": TypedParameter(spec(type="integer")),
    }
    found = check_parameters(parameters, {"lines": "many", "modle": "x"}, INVENTORY)
    assert found.values == {}
    assert found.problems == (
        "unknown parameter 'modle', did you mean 'model'?",
        "host: is taken from the alert, and there is none; give it a value",
        "model: is required; give it a value",
        "lines: 'many' isn't an integer",
    )


def test_a_list_may_have_items_that_come_from_the_alert() -> None:
    target = compile_template("${{ alert.labels.instance }}", ALERT)
    parameters = {"hosts": TypedParameter(HOSTS, [target])}
    alert = alert_bindings(firing("Down", instance="gpu-07:9100"))
    assert check_parameters(parameters, {}, INVENTORY, alert).values == {"hosts": ["gpu-07"]}
    (problem,) = check_parameters(parameters, {}, INVENTORY).problems
    assert problem == "hosts: is taken from the alert, and there is none; give it a value"


def test_an_alert_of_an_unknown_host_gives_no_target() -> None:
    parameters = {
        "host": TypedParameter(spec(type="target"), compile_template("${{ alert.target }}", ALERT))
    }
    found = check_parameters(parameters, {}, INVENTORY, alert_bindings(firing("Down")))
    assert found.problems == ("host: no target is known; add it or an alias to the inventory",)
