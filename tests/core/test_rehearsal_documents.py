import pytest

from engine.core.mistakes import Mistakes
from engine.core.rehearsal_documents import (
    RehearsalsDocument,
    check_names,
    check_rehearsals,
    check_results,
)

FIRE = {"at": "0s", "fire": "a", "labels": {"alertname": "Down"}}
EXPECT = [{"at": "8m", "incidents": [{"severity": "P1"}]}]


def told(alerts: list[object], expect: list[object] | None = None) -> list[tuple[str, str]]:
    document = RehearsalsDocument.model_validate(
        {"language": 1, "tests": [{"name": "t", "alerts": alerts, "expect": expect or EXPECT}]}
    )
    mistakes = Mistakes()
    check_rehearsals(document, mistakes)
    return [("/".join(map(str, m.path[2:])), m.message) for m in mistakes.found]


def test_a_story_that_fires_and_resolves_is_right() -> None:
    assert told([FIRE, {"at": "9m", "resolve": "a"}]) == []


@pytest.mark.parametrize(
    ("alerts", "path", "message"),
    [
        pytest.param([FIRE, {"resolve": "b"}], "alerts/1/resolve", "unknown alert", id="unknown"),
        pytest.param([{"resolve": "a"}, FIRE], "alerts/0/resolve", "unknown alert", id="too-early"),
        pytest.param([{**FIRE, "resolve": "a"}], "alerts/0", "either", id="both"),
        pytest.param([{"at": "1m"}], "alerts/0", "either", id="neither"),
        pytest.param([{"fire": "a"}], "alerts/0", "`alertname`", id="no-name"),
        pytest.param([{**FIRE, "at": "soon"}], "alerts/0/at", "isn't a duration", id="time"),
    ],
)
def test_a_story_that_can_not_be_told_is_a_mistake(
    alerts: list[object], path: str, message: str
) -> None:
    (mistake,) = told(alerts)
    assert mistake[0] == path
    assert message in mistake[1]


def test_the_time_of_an_expectation_is_checked() -> None:
    (mistake,) = told([FIRE], [{"at": "later", "incidents": []}])
    assert mistake[0] == "expect/0/at"


def test_a_story_may_begin_by_hand_and_something_must_happen() -> None:
    story = {"name": "t", "expect": EXPECT, "by_hand": [{"at": "soon", "playbook": "a"}]}
    nothing = {"name": "t", "expect": EXPECT}
    document = RehearsalsDocument.model_validate({"language": 1, "tests": [story, nothing]})
    mistakes = Mistakes()
    check_rehearsals(document, mistakes)
    (time, empty) = mistakes.found
    assert (time.path, "isn't a duration" in time.message) == (
        ("tests", 0, "by_hand", 0, "at"),
        True,
    )
    assert (empty.path, "start a playbook `by_hand`" in empty.message) == (("tests", 1), True)


def test_only_an_outcome_that_nobody_knows_is_probed() -> None:
    calls = [{"probe": "done"}, {"outcome": "timed_out", "probe": "not_done"}]
    story = {"name": "t", "alerts": [FIRE], "expect": EXPECT, "fakes": {"a": calls}}
    document = RehearsalsDocument.model_validate({"language": 1, "tests": [story]})
    mistakes = Mistakes()
    check_rehearsals(document, mistakes)
    (found,) = mistakes.found
    assert found.path == ("tests", 0, "fakes", "a", 0, "probe")
    assert "`outcome: unknown`" in found.message


def test_what_a_test_names_is_there() -> None:
    fakes: dict[str, list[object]] = {"restart": [{}], "restart[gpu-07]": [{}], "proof": [{}]}
    orders = [{"playbook": "mends"}]
    story = {"name": "t", "expect": EXPECT, "by_hand": orders, "fakes": fakes}
    document = RehearsalsDocument.model_validate({"language": 1, "tests": [story]})
    mistakes = Mistakes()
    check_names(document, {"mend": ["restart", "prove"]}, mistakes)
    told = [("/".join(map(str, m.path[2:])), m.message) for m in mistakes.found]
    assert told == [
        ("by_hand/0/playbook", "unknown playbook 'mends', did you mean 'mend'?"),
        ("fakes/proof", "unknown step 'proof', did you mean 'prove'?"),
    ]


def test_an_unknown_step_is_likened_to_those_of_the_playbook_that_is_started() -> None:
    fakes: dict[str, list[object]] = {"proof": [{}], "pool": [{}]}
    story = {"name": "t", "expect": EXPECT, "by_hand": [{"playbook": "mend"}], "fakes": fakes}
    document = RehearsalsDocument.model_validate({"language": 1, "tests": [story]})
    mistakes = Mistakes()
    check_names(document, {"mend": ["pause", "space"], "other": ["pool"]}, mistakes)
    (found,) = mistakes.found
    assert found.message == "unknown step 'proof'; there is pause, space"


def test_what_a_fake_gives_is_an_output_of_its_step() -> None:
    fakes = {
        "mend[gpu-07]/restart": [{}, {"result": {"exitcode": 3}}],
        "prove": [{"result": {"exit_code": 0}}],
        "of_none": [{"result": {"x": 1}}],
    }
    story = {"name": "t", "expect": EXPECT, "fakes": fakes}
    document = RehearsalsDocument.model_validate({"language": 1, "tests": [story]})
    mistakes = Mistakes()
    outputs = {"restart": ["exit_code", "stdout"], "prove": ["exit_code"]}
    check_results(document, outputs, mistakes)
    (found,) = mistakes.found
    assert found.path == ("tests", 0, "fakes", "mend[gpu-07]/restart", 1, "result", "exitcode")
    assert found.message == "unknown output 'exitcode', did you mean 'exit_code'?"


def test_steps_of_a_called_playbook_and_of_an_item_are_named_by_their_whole_id() -> None:
    story = {
        "name": "t",
        "expect": EXPECT,
        "fakes": {"mend[gpu-07]/restart": [], "mend/restart": [], "restart": []},
        "answers": {"mend/which": "a", "whch": "a"},
    }
    document = RehearsalsDocument.model_validate({"language": 1, "tests": [story]})
    mistakes = Mistakes()
    check_names(document, {"roll": ["mend", "mend/restart", "mend/which", "which"]}, mistakes)
    assert [("/".join(map(str, m.path[2:])), m.message) for m in mistakes.found] == [
        ("fakes/restart", "unknown step 'restart', did you mean 'mend/restart'?"),
        ("answers/whch", "unknown step 'whch', did you mean 'which'?"),
    ]
