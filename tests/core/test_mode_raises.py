"""What goes further than before waits for a second person, and keeps its lower mode meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from engine.core.catalog import Catalog
from engine.core.mode_raises import held_down, modes_of, raises
from engine.core.planning import trigger_limits
from engine.core.severity import Mode, effective_mode
from tests.doubles.written import RESTART, RULES, a_catalog

GUARDS = "language: 1\nsecond_person_for: [auto]\n"
BOUND = GUARDS + "ceilings: [{when: \"environment == 'staging'\", mode: approve}]\n"
CASES = "[{when: alert.environment == 'staging', is: %s}, {is: %s}]"


def catalog(
    folder: Path, mode: str = "approve", max_mode: str = "auto", policy: str = GUARDS
) -> Catalog:
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(policy)
    playbook = RESTART.replace("max_mode: auto", f"max_mode: {max_mode}")
    return a_catalog(folder, RULES.replace("%s", mode), playbook).active


def told(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = catalog(folder, **before), catalog(folder, **after)
    return [each.told for each in raises(modes_of(old), modes_of(new))]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        pytest.param({}, {}, [], id="nothing changed"),
        pytest.param({}, {"mode": "auto"}, ["rule down: auto, and keeps approve"], id="a rule"),
        pytest.param({"mode": "auto"}, {"mode": "approve"}, [], id="a rule that is lowered"),
        pytest.param({"mode": "observe"}, {"mode": "approve"}, [], id="to what isn't guarded"),
        pytest.param(
            {"max_mode": "approve"},
            {},
            ["playbook restart: auto, and keeps approve"],
            id="a playbook",
        ),
        pytest.param(
            {"mode": CASES % ("auto", "approve")},
            {"mode": CASES % ("auto", "suggest")},
            [],
            id="a case that is lowered",
        ),
        pytest.param(
            {"mode": CASES % ("approve", "suggest")},
            {"mode": CASES % ("auto", "suggest")},
            ["rule down: auto, and keeps suggest"],
            id="a case that is raised",
        ),
        pytest.param(
            {"mode": CASES % ("auto", "suggest")},
            {"mode": "auto"},
            ["rule down: auto, and keeps suggest"],
            id="a case that is left out",
        ),
        pytest.param(
            {"policy": BOUND},
            {"policy": GUARDS},
            ["policy: the ceiling approve where environment == 'staging' is gone, and still holds"],
            id="a ceiling that is left out",
        ),
        pytest.param(
            {"policy": BOUND},
            {"policy": BOUND.replace("mode: approve", "mode: suggest")},
            [],
            id="a ceiling that is lowered",
        ),
        pytest.param(
            {"policy": GUARDS},
            {"policy": "language: 1\n"},
            ["policy: second_person_for names less, and still holds as it was"],
            id="the guard itself",
        ),
        pytest.param(
            {"policy": "language: 1\n"}, {"policy": "language: 1\n", "mode": "auto"}, [], id="off"
        ),
        pytest.param(
            {"policy": GUARDS},
            {"policy": "language: 1\n", "mode": "auto"},
            [
                "rule down: auto, and keeps approve",
                "policy: second_person_for names less, and still holds as it was",
            ],
            id="the guard with what it guards",
        ),
    ],
)
def test_what_goes_further_is_found(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], found: list[str]
) -> None:
    assert told(tmp_path, before, after) == found


def test_a_rule_under_a_new_name_was_not_auto_before(tmp_path: Path) -> None:
    old, new = catalog(tmp_path, mode="auto"), catalog(tmp_path, mode="auto")
    before = modes_of(old).model_copy(update={"rules": {}})
    found = raises(before, modes_of(new))
    assert [each.told for each in found] == ["rule down: auto, and keeps approve"]


def mode_of(held: Catalog) -> tuple[Mode, str]:
    rule = held.rule("down")
    assert rule is not None
    facts = {"environment": "staging"}
    limits = trigger_limits(held.playbooks["restart"], facts, held.inventory, held.policy)
    found = effective_mode((*rule.caps, *limits))
    return found.mode, found.decided_by


@pytest.mark.parametrize(
    ("before", "after", "decided_by"),
    [
        (
            {"mode": "approve"},
            {"mode": "auto"},
            "rule down was raised, which a second person has to confirm",
        ),
        (
            {"max_mode": "approve", "mode": "auto"},
            {"mode": "auto"},
            "playbook restart was raised, which a second person has to confirm",
        ),
        (
            {"policy": BOUND, "mode": "auto"},
            {"mode": "auto"},
            "policy: where environment == 'staging'",
        ),
    ],
)
def test_what_was_raised_keeps_its_lower_mode(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], decided_by: str
) -> None:
    old = modes_of(catalog(tmp_path, **before))
    new = catalog(tmp_path, **after)
    assert mode_of(new)[0] is Mode.AUTO
    held = held_down(new, old, raises(old, modes_of(new)))
    assert mode_of(held) == (Mode.APPROVE, decided_by)
    assert held.version == new.version
