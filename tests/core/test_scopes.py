from datetime import timedelta

import pytest

from engine.core.documents import InventoryDocument, Parameter
from engine.core.expressions import ExpressionFailedError, ValueType, compile_expression
from engine.core.incident import Incident
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.scopes import (
    ALERT,
    Known,
    alert_bindings,
    incident_values,
    parameter_type,
    playbook_scope,
)
from engine.core.severity import Mode, Severity
from engine.core.templates import compile_template
from tests.doubles.declarations import AT, firing

INVENTORY = build_inventory(
    InventoryDocument.model_validate(
        {
            "language": 1,
            "targets": {"gpu-07": {"kind": "host", "service": "llm-70b"}},
            "services": {"llm-70b": {"environment": "production"}},
        }
    ),
    Mistakes(),
)
INCIDENT = Incident(
    id="i",
    number=12,
    correlation_key="k",
    partition_key="p",
    rule_id="down",
    severity=Severity.P1,
    title="It is down",
    mode=Mode.APPROVE,
    service="llm-70b",
    environment="production",
    team="inference",
    group={},
    opened_at=AT,
    updated_at=AT,
)
PARAMETERS = {"host": Parameter(type="target"), "limit": Parameter(type="number")}


@pytest.mark.parametrize("name", sorted(ALERT.names))
def test_every_name_of_an_alert_has_a_value(name: str) -> None:
    expression = compile_expression(f"{name} == {name}", ALERT)
    assert expression.evaluate(alert_bindings(firing("Down"))) is True


def test_an_absent_label_is_empty() -> None:
    expression = compile_expression('alert.labels.tier != "dev"', ALERT)
    assert expression.evaluate(alert_bindings(firing("Down"))) is True


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        pytest.param(Parameter(type="string"), ValueType.STRING, id="text"),
        pytest.param(Parameter(type="string", pattern="a+"), ValueType.FORMATTED, id="pattern"),
        pytest.param(Parameter(type="string", format="host"), ValueType.FORMATTED, id="format"),
        pytest.param(Parameter(type="enum", values=("a",)), ValueType.FORMATTED, id="enum"),
        pytest.param(Parameter(type="target"), ValueType.FORMATTED, id="target"),
        pytest.param(Parameter(type="integer"), ValueType.INT, id="integer"),
        pytest.param(Parameter(type="number"), ValueType.DOUBLE, id="number"),
        pytest.param(Parameter(type="boolean"), ValueType.BOOL, id="boolean"),
    ],
)
def test_only_a_text_of_a_checked_form_may_stand_inside_text(
    parameter: Parameter, kind: ValueType
) -> None:
    assert parameter_type(parameter) == kind


def test_a_run_binds_parameters_incident_outputs_result_and_targets() -> None:
    scope = (
        playbook_scope(PARAMETERS)
        .with_("steps.a.stdout", ValueType.STRING)
        .with_("result.latency_s", ValueType.DOUBLE)
    )
    known = Known(
        parameters={"host": "gpu-07", "limit": 5},
        incident=INCIDENT,
        inventory=INVENTORY,
        outputs={"a": {"stdout": "x"}},
        result={"latency_s": 4},
    )
    condition = compile_expression(
        'params.limit > result.latency_s && steps.a.stdout == "x" && incident.severity == "P1" '
        '&& target(params.host).environment == "production"',
        scope,
    )
    assert condition.evaluate(known.bindings()) is True
    group = compile_template("${{ target(params.host).service }}", scope)
    assert group.evaluate(known.bindings()) == "llm-70b"


def test_a_target_that_is_not_there_fails() -> None:
    scope = playbook_scope(PARAMETERS)
    known = Known({"host": "gone", "limit": 1}, INCIDENT, INVENTORY)
    with pytest.raises(ExpressionFailedError, match="gone"):
        compile_expression("target(params.host).service", scope).evaluate(known.bindings())


def test_every_name_of_an_incident_has_a_value() -> None:
    scope = playbook_scope({})
    assert set(incident_values(INCIDENT)) == {n for n in scope.names if n.startswith("incident.")}
    since = compile_expression('incident.opened_at + duration("1h")', scope)
    assert since.evaluate(Known({}, INCIDENT, INVENTORY).bindings()) == AT + timedelta(hours=1)
