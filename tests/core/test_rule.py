from collections.abc import Mapping
from dataclasses import replace

import pytest

from engine.core.documents import Parameter
from engine.core.inventory import Inventory
from engine.core.mistakes import Mistakes
from engine.core.parameters import TypedParameter
from engine.core.rule import Rule, RuleContext, compile_rule
from engine.core.rule_documents import RuleDefaults, RuleDocument
from engine.core.scopes import alert_bindings
from engine.core.severity import Mode, Severity
from tests.doubles.declarations import firing

PARAMETERS = {
    "host": TypedParameter(Parameter(type="target")),
    "model": TypedParameter(Parameter(type="string")),
    "lines": TypedParameter(Parameter(type="integer", default=40), 40),
}
CONTEXT = RuleContext(
    file="rules/x.yaml",
    defaults=RuleDefaults(notify=("team",)),
    playbooks={"restart": PARAMETERS, "broken": None},
    inventory=Inventory(),
)
RULE = {
    "id": "down",
    "description": "It is down",
    "matchers": ['alertname="Down"'],
    "severity": "P1",
}


def compiled(**words: object) -> tuple[Rule | None, list[tuple[str, int, str]]]:
    return compiled_in(CONTEXT, words)


def compiled_in(
    context: RuleContext, words: Mapping[str, object]
) -> tuple[Rule | None, list[tuple[str, int, str]]]:
    mistakes = Mistakes()
    rule = compile_rule(RuleDocument.model_validate({**RULE, **words}), context, mistakes)
    told = [(".".join(map(str, m.path)), m.column, m.message) for m in mistakes.found]
    return rule, told


@pytest.mark.parametrize(
    "mode", ["auto", [{"when": 'alert.environment == "staging"', "is": "auto"}, {"is": "approve"}]]
)
def test_auto_does_not_load_without_what_policy_requires(mode: object) -> None:
    words = {
        "playbook": "restart",
        "with": {"host": "${{ alert.target }}", "model": "b"},
        "mode": mode,
    }
    lacking = {"restart": {"budget", "blast_radius"}, "other": {"budget"}}
    rule, ((path, _, message),) = compiled_in(replace(CONTEXT, lacking=lacking), words)
    assert (rule, path) == (None, "mode")
    assert message.startswith(
        "`auto` needs blast_radius and budget by policy.yaml's require_for_auto, and the playbook "
        "'restart' doesn't declare it"
    )
    without = replace(CONTEXT, lacking={"other": {"budget"}, "restart": set()})
    assert compiled_in(without, words)[1] == []
    assert compiled_in(replace(CONTEXT, lacking=lacking), {**words, "mode": "approve"})[1] == []


def test_a_rule_is_compiled_with_the_defaults_of_its_file() -> None:
    rule, told = compiled()
    assert not told
    assert rule is not None
    assert (rule.severity.otherwise, rule.mode.otherwise) == (Severity.P1, Mode.APPROVE)
    assert rule.notify == ("team",)
    assert rule.postmortem == {Severity.P1, Severity.P2}
    assert not rule.is_catch_all


@pytest.mark.parametrize(
    ("words", "path", "column", "message"),
    [
        pytest.param({"matchers": ["a~b"]}, "matchers.0", 2, "a=~", id="matcher"),
        pytest.param(
            {"when": 'alert.servce == "x"'}, "when", 1, "did you mean 'alert.service'?", id="name"
        ),
        pytest.param({"when": "alert.name"}, "when", 1, "bool is needed", id="type"),
        pytest.param(
            {"severity": [{"when": "alert.name == 1", "is": "P1"}, {"is": "P2"}]},
            "severity.0.when",
            12,
            "can't compare string with int",
            id="case",
        ),
        pytest.param(
            {"severity": [{"when": 'alert.name == "x"', "is": "P1"}]},
            "severity.0.when",
            0,
            "the last case has no `when`",
            id="last-case",
        ),
        pytest.param(
            {"mode": [{"is": "auto"}, {"is": "approve"}]},
            "mode.0",
            0,
            "only the last case",
            id="early-last-case",
        ),
        pytest.param({"playbook": "restrat"}, "playbook", 0, "did you mean 'restart'?", id="book"),
        pytest.param({"with": {"a": 1}}, "with", 0, "starts none", id="with-alone"),
        pytest.param({"for": "1 m"}, "for", 0, "isn't a duration", id="duration"),
        pytest.param(
            {"window": {"at_least": 2, "within": "0s"}}, "window.within", 0, "no time", id="window"
        ),
        pytest.param(
            {"inhibited_by": {"matchers": ["="]}}, "inhibited_by.matchers.0", 1, "", id="inhibition"
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    words: dict[str, object], path: str, column: int, message: str
) -> None:
    rule, told = compiled(**words)
    assert rule is None
    (found,) = told
    assert found[:2] == (path, column)
    assert message in found[2]


def test_what_a_playbook_needs_and_does_not_know_is_told_all_at_once() -> None:
    _, told = compiled(playbook="restart", **{"with": {"modle": "x", "lines": "many"}})
    assert [(path, message) for path, _, message in told] == [
        ("with", "playbook 'restart' needs 'host' in `with`"),
        ("with", "playbook 'restart' needs 'model' in `with`"),
        (
            "with.modle",
            "unknown parameter of playbook 'restart' 'modle', did you mean 'model'?",
        ),
        ("with.lines", "'many' isn't an integer"),
    ]


def test_a_template_of_the_wrong_type_is_a_mistake_and_a_label_fits_everything() -> None:
    given = {"host": "${{ alert.target }}", "model": "${{ alert.name == 'x' }}"}
    _, told = compiled(playbook="restart", **{"with": given})
    assert [message for _, _, message in told] == [
        "this gives bool, and a value of type string is needed"
    ]
    given = {"host": "${{ alert.target }}", "model": "m", "lines": "${{ alert.labels.lines }}"}
    rule, told = compiled(playbook="restart", **{"with": given})
    assert not told
    assert rule is not None
    assert rule.render_arguments(alert_bindings(firing("Down"))) == {
        "host": "",
        "model": "m",
        "lines": "",
    }


def test_a_playbook_that_has_mistakes_itself_gives_its_rules_none() -> None:
    rule, told = compiled(playbook="broken", **{"with": {"what": "ever"}})
    assert not told
    assert rule is not None


def test_a_rule_without_any_condition_is_a_catch_all() -> None:
    rule, _ = compiled(matchers=[])
    assert rule is not None
    assert rule.is_catch_all
    rule, _ = compiled(matchers=[], when='alert.name == "x"')
    assert rule is not None
    assert not rule.is_catch_all
