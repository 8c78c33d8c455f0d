from datetime import timedelta

import pytest

from engine.core.actions import Effect
from engine.core.mistakes import Mistakes
from engine.core.policy import Policy, compile_policy, policy_limits
from engine.core.policy_documents import PolicyDocument
from engine.core.severity import Mode, effective_mode
from engine.core.storm_brake import CheckedBrake

PRODUCTION = {"service": "llm-70b", "environment": "production"}
STAGING = {"service": "llm-dev", "environment": "staging"}
CHANGE = frozenset({Effect.READ, Effect.CHANGE})
NONE: frozenset[str] = frozenset()


def policy(**words: object) -> Policy:
    mistakes = Mistakes()
    found = compile_policy(PolicyDocument.model_validate({"language": 1, **words}), mistakes)
    assert not mistakes.found
    return found


def test_a_ceiling_applies_where_its_expression_holds() -> None:
    ceilings = policy(ceilings=[{"when": 'environment == "production"', "mode": "approve"}])
    (limit,) = policy_limits(ceilings, [PRODUCTION], CHANGE, NONE)
    assert limit.mode is Mode.APPROVE
    assert limit.decided_by == 'policy: where environment == "production"'
    assert policy_limits(ceilings, [STAGING], CHANGE, NONE) == []


def test_a_target_in_production_counts_whatever_the_alert_said() -> None:
    ceilings = policy(ceilings=[{"when": 'environment == "production"', "mode": "approve"}])
    assert policy_limits(ceilings, [STAGING, PRODUCTION], CHANGE, NONE)


def test_a_ceiling_on_an_effect_applies_to_that_effect_alone() -> None:
    ceilings = policy(ceilings=[{"effect": "destroy", "mode": "approve"}])
    assert policy_limits(ceilings, [STAGING], CHANGE, NONE) == []
    (limit,) = policy_limits(ceilings, [STAGING], CHANGE | {Effect.DESTROY}, NONE)
    assert limit.decided_by == "policy: effect destroy"


def test_a_plan_that_needs_two_approvals_does_not_run_with_one() -> None:
    ceilings = policy(ceilings=[{"effect": "destroy", "mode": "approve", "quorum": 2}])
    decided = effective_mode(policy_limits(ceilings, [STAGING], frozenset({Effect.DESTROY}), NONE))
    assert decided.mode is Mode.SUGGEST
    assert decided.decided_by == (
        "policy: effect destroy needs 2 approvals, and this version asks one person"
    )


def test_auto_needs_all_that_policy_requires() -> None:
    provided = policy(require_for_auto=["verify", "precheck", "lock"])
    assert policy_limits(provided, [STAGING], CHANGE, NONE) == []
    required = policy(
        require_for_auto=["verify", "blast_radius"],
    )
    limits = policy_limits(required, [STAGING], CHANGE, NONE)
    assert {limit.mode for limit in limits} == {Mode.APPROVE}
    assert [limit.decided_by for limit in limits] == [
        "policy: auto needs blast_radius, which the playbook does not declare",
    ]


def test_limits_and_the_storm_brake_lower_no_mode_by_themselves() -> None:
    brake = {"fraction": "30%", "services": 5, "within": "5m"}
    words: dict[str, object] = {"fleet_unavailable": "10%", "changes": {"max": 1, "within": "15m"}}
    limited = policy(limits=words, storm_brake=brake)
    assert limited.storm_brake == CheckedBrake(30, 5, timedelta(minutes=5))
    assert policy_limits(limited, [STAGING], CHANGE, NONE) == []
    assert limited.limits.changes is not None
    assert (limited.limits.fleet_unavailable, limited.limits.changes.per) == ("10%", "service")


def test_a_budget_that_policy_requires_is_the_playbooks_to_declare() -> None:
    required = policy(require_for_auto=["budget"])
    (limit,) = policy_limits(required, [STAGING], CHANGE, frozenset({"cooldown"}))
    assert limit.mode is Mode.APPROVE
    assert limit.decided_by == "policy: auto needs budget, which the playbook does not declare"
    assert policy_limits(required, [STAGING], CHANGE, frozenset({"budget"})) == []


def test_whether_the_source_confirms_is_told_when_the_run_is_about_to_act() -> None:
    required = policy(require_for_auto=["source_confirms"])
    assert required.source_confirms
    assert policy_limits(required, [STAGING], CHANGE, NONE) == []
    assert not policy().source_confirms


def test_a_ceiling_whose_expression_fails_applies() -> None:
    ceilings = policy(ceilings=[{"when": "int(region) > 3", "mode": "suggest"}])
    (limit,) = policy_limits(ceilings, [{**STAGING, "region": "eu"}], CHANGE, NONE)
    assert limit.mode is Mode.SUGGEST
    assert "failed" in limit.decided_by


@pytest.mark.parametrize(
    ("words", "path", "message"),
    [
        pytest.param(
            {"ceilings": [{"when": 'enviroment == "x"', "mode": "auto"}]},
            ("ceilings", 0, "when"),
            "did you mean 'environment'?",
            id="name",
        ),
        pytest.param(
            {"limits": {"fleet_unavailable": "10"}},
            ("limits", "fleet_unavailable"),
            "'10%'",
            id="share",
        ),
        pytest.param(
            {"limits": {"changes": {"per": "service", "max": 1, "within": "x"}}},
            ("limits", "changes", "within"),
            "isn't a duration",
            id="duration",
        ),
        pytest.param(
            {"storm_brake": {"fraction": "x", "services": 1, "within": "5m"}},
            ("storm_brake", "fraction"),
            "share",
            id="brake",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    words: dict[str, object], path: tuple[str | int, ...], message: str
) -> None:
    mistakes = Mistakes()
    compile_policy(PolicyDocument.model_validate({"language": 1, **words}), mistakes)
    (mistake,) = mistakes.found
    assert mistake.path == path
    assert message in mistake.message
