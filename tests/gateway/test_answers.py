"""The API's answers keep every fact of what they are made from."""

from dataclasses import fields, replace

from engine.gateway.answers import (
    approval_answer,
    audit_answer,
    balance_answer,
    decision_answer,
    incident_answer,
)
from engine.ports.api import AuditAnswer, BalanceAnswer
from engine.ports.commands import AuditReport, Balance, Decided
from tests.doubles.fixed_clock import NOW
from tests.doubles.gateway import APPROVAL, incident

# Keys of the engine's own, and what the rule asks for. A new field is shown, or named here.
NOT_SHOWN = {"correlation_key", "partition_key", "notify", "wants_postmortem", "explained_by"}


def test_an_incident_shows_all_but_its_internal_keys() -> None:
    whole = replace(incident(3), run_id="run3", ticket="OPS-7", mitigated_at=NOW)
    answer = incident_answer(whole)
    values = {field.name: getattr(whole, field.name) for field in fields(whole)}
    values["open_occurrences"] = values.pop("open_count")
    assert set(values) - set(dict(answer)) == NOT_SHOWN
    shown_values = {**values, "name": "INC-3", "severity": "P1", "mode": "approve"}
    for name, shown in answer:
        assert shown == shown_values[name], name


def test_an_approval_shows_all() -> None:
    answer = approval_answer(APPROVAL)
    assert dict(answer) == {f.name: getattr(APPROVAL, f.name) for f in fields(APPROVAL)}
    decided = decision_answer(Decided(APPROVAL, "approved by slack:T1/U1", accepted=True))
    assert (decided.approval, decided.sentence) == (answer, "approved by slack:T1/U1")


def test_balance_and_audit_show_all() -> None:
    balance = Balance({"new": 1}, 4, 3, 2, 1, 1, 0)
    assert balance_answer(balance) == BalanceAnswer(
        dispositions={"new": 1},
        records=4,
        waiting=3,
        bodies_received=2,
        bodies_appended=1,
        bodies_dead_lettered=1,
        difference=0,
    )
    report = AuditReport(1, 2, ("incident/x, entry 2: the body was changed",))
    assert audit_answer(report) == AuditAnswer(chains=1, entries=2, faults=report.faults)
