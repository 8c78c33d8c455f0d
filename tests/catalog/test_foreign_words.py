import pytest

from engine.catalog.foreign_words import foreign_words
from engine.catalog.sources import Kind
from engine.catalog.yaml_composer import compose


@pytest.mark.parametrize(
    ("kind", "text", "place", "says"),
    [
        pytest.param(Kind.RULES, "groups: []", (1, 1), "`rules`", id="groups"),
        pytest.param(
            Kind.RULES, "rules:\n  - id: a\n    expr: up == 0", (3, 5), "`when`", id="expr"
        ),
        pytest.param(Kind.RULES, "rules:\n  - labels: {}", (2, 5), "`matchers`", id="labels"),
        pytest.param(Kind.RULES, "rules: [{match: {a: b}}]", (1, 10), "`matchers`", id="match"),
        pytest.param(Kind.RULES, "rules: [{cron: x}]", (1, 10), "no schedule", id="cron"),
        pytest.param(
            Kind.RULES,
            "rules: [{inhibited_by: {target_matchers: []}}]",
            (1, 25),
            "the rule's own `matchers`",
            id="inhibition",
        ),
        pytest.param(Kind.PLAYBOOK, "name: x", (1, 1), "`id`", id="name"),
        pytest.param(Kind.PLAYBOOK, "steps: [{when: x}]", (1, 10), "`if` here", id="when"),
        pytest.param(Kind.PLAYBOOK, "steps: [{run: x}]", (1, 10), "no free shell", id="run"),
        pytest.param(Kind.PLAYBOOK, "verify: [{needs: x}]", (1, 11), "one after", id="needs"),
        pytest.param(
            Kind.PLAYBOOK, "steps: [{rollback: [{register: x}]}]", (1, 22), "steps.<id>", id="undo"
        ),
        pytest.param(
            Kind.PLAYBOOK,
            "parameters: {a: {options: [b]}}",
            (1, 18),
            "`values` here",
            id="parameter",
        ),
        pytest.param(
            Kind.PLAYBOOK, "steps: [{ask: {prompt: b}}]", (1, 16), "`question` here", id="ask"
        ),
        pytest.param(Kind.PLAYBOOK, "vault: x", (1, 1), "{type: secret}", id="vault"),
        pytest.param(
            Kind.PLAYBOOK, "steps: [{no_log: true}]", (1, 10), "are taken out", id="no_log"
        ),
        pytest.param(
            Kind.PLAYBOOK,
            "parameters: {a: {secretKeyRef: x}}",
            (1, 18),
            "`type: secret` here",
            id="secretKeyRef",
        ),
        pytest.param(Kind.COMMANDS, "commands: {a: {cmd: x}}", (1, 16), "`argv`", id="cmd"),
    ],
)
def test_the_right_word_is_named_where_the_wrong_one_stands(
    kind: Kind, text: str, place: tuple[int, int], says: str
) -> None:
    (finding,) = foreign_words(kind, compose(text.encode(), "x.yaml"))
    assert (finding.line, finding.column) == place
    assert says in finding.message


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(Kind.RULES, "rules: [{id: a, when: b, with: {name: c}}]", id="rule"),
        pytest.param(Kind.PLAYBOOK, "steps: [{id: a, if: b, with: {command: c}}]", id="step"),
        pytest.param(Kind.PLAYBOOK, "- a", id="list"),
        pytest.param(Kind.PLAYBOOK, "parameters: {prompt: x, options: {}}", id="parameter"),
        pytest.param(Kind.COMMANDS, "commands: x", id="text"),
        pytest.param(Kind.INVENTORY, "name: x", id="inventory"),
    ],
)
def test_words_in_their_own_place_are_left_alone(kind: Kind, text: str) -> None:
    assert foreign_words(kind, compose(text.encode(), "x.yaml")) == []
