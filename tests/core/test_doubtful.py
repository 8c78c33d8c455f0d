from dataclasses import replace

import pytest

from engine.core.documents import InventoryDocument
from engine.core.doubtful import doubtful, doubtful_policy
from engine.core.inventory import build_inventory
from engine.core.mistakes import Mistakes
from engine.core.playbook import Playbook
from engine.core.policy import Policy, compile_policy
from engine.core.policy_documents import PolicyDocument
from engine.core.severity import Mode
from tests.core.test_classify import rule
from tests.doubles.playbooks import PLAYBOOK, compiled

SEVERITIES = [{"when": 'alert.environment == "production"', "is": "P1"}, {"is": "P3"}]
MODES = [{"when": 'alert.environment == "staging"', "is": "auto"}, {"is": "approve"}]


def playbook(**changes: object) -> Playbook:
    found, told = compiled(PLAYBOOK)
    assert found is not None, told
    return replace(found, **changes)  # type: ignore[arg-type]


def policy(**words: object) -> Policy:
    mistakes = Mistakes()
    found = compile_policy(PolicyDocument.model_validate({"language": 1, **words}), mistakes)
    assert not mistakes.found
    return found


@pytest.mark.parametrize(
    ("words", "place", "said"),
    [
        ({"group_by": ["target", "regio"]}, "group_by/1", "did you mean 'region'?"),
        (
            {"window": {"at_least": 2, "distinct": "targt", "within": "5m"}},
            "window/distinct",
            "did you mean 'target'?",
        ),
        (
            {"inhibited_by": {"matchers": ['a="b"'], "equal": ["enviroment"]}},
            "inhibited_by/equal/0",
            "did you mean 'environment'?",
        ),
        ({"notify": ["team", "#payments"]}, "notify/1", "'#payments' isn't told apart yet"),
        ({"escalate": [{"firing": 9, "is": "P4"}]}, "escalate/0/is", "this does nothing"),
        (
            {"severity": SEVERITIES, "escalate": [{"after": "1h", "is": "P3"}]},
            "escalate/0/is",
            "is P3 or graver from the beginning",
        ),
    ],
)
def test_a_word_that_does_something_else_is_told(
    words: dict[str, object], place: str, said: str
) -> None:
    (found,) = doubtful(rule("x", **{"severity": "P3", **words}), None, Policy())
    assert "/".join(map(str, found.path)) == place
    assert said in found.message


@pytest.mark.parametrize(
    "words",
    [
        {"group_by": ["service", "instance", "pod", "namespace", "cluster", "customer_id"]},
        {"group_by": [], "notify": []},
        {"severity": SEVERITIES, "escalate": [{"firing": 9, "is": "P2"}]},
        {"window": {"at_least": 2, "within": "5m"}, "notify": ["team"]},
    ],
)
def test_a_word_that_may_be_meant_is_left_alone(words: dict[str, object]) -> None:
    assert not list(doubtful(rule("x", **{"severity": "P3", **words}), None, Policy()))


@pytest.mark.parametrize(
    ("of", "by", "said"),
    [
        (playbook(max_mode=Mode.APPROVE), Policy(), "playbook restart (max_mode)"),
        (playbook(), policy(ceilings=[{"effect": "change", "mode": "suggest"}]), "effect change"),
    ],
)
@pytest.mark.parametrize("mode", ["auto", MODES])
def test_an_auto_that_can_never_be_is_told(
    of: Playbook, by: Policy, said: str, mode: object
) -> None:
    (found,) = doubtful(rule("x", mode=mode), of, by)
    assert found.path == ("mode",)
    assert said in found.message


def test_an_auto_that_depends_on_the_alert_is_left_alone() -> None:
    where = policy(ceilings=[{"when": 'environment == "production"', "mode": "approve"}])
    assert not list(doubtful(rule("x", mode="auto"), playbook(), where))
    assert not list(doubtful(rule("x", mode="approve"), playbook(), policy()))


SERVICES = {"gateway": {"environment": "production", "team": "web"}, "llm": {}}
INVENTORY = build_inventory(
    InventoryDocument.model_validate({"language": 1, "services": SERVICES}), Mistakes()
)


@pytest.mark.parametrize(
    ("when", "meant"),
    [
        ('environment == "prodution"', "production"),
        ('team == "web" && service == "gatway"', "gateway"),
        ('environment == "production"', ""),
        ('environment == "staging"', ""),
        ('region == "eu"', ""),
        ('environment != "prodution"', ""),
    ],
)
def test_a_ceiling_over_a_slip_is_told(when: str, meant: str) -> None:
    first = {"effect": "change", "mode": "approve"}
    limits = policy(ceilings=[first, {"when": when, "mode": "approve"}])
    told = [(each.path, each.message) for each in doubtful_policy(limits, INVENTORY)]
    assert [path for path, _ in told] == ([("ceilings", 1, "when")] if meant else [])
    assert all(f"did you mean {meant!r}?" in message for _, message in told)
