from collections.abc import Mapping
from datetime import timedelta

import pytest

from engine.core.actions import Effect
from engine.core.documents import CommandsDocument
from engine.core.mistakes import Mistakes
from engine.core.playbook_checks import check_commands
from tests.doubles.playbooks import COMMANDS, PLAYBOOK, assert_told, changed, compiled


def test_a_right_playbook_is_compiled_with_defaults() -> None:
    playbook, told = compiled(PLAYBOOK)
    assert not told
    assert playbook is not None
    assert [step.id for step in playbook.all_steps] == ["gpu", "restart", "serves"]
    gpu, restart, serves = playbook.all_steps
    assert (gpu.timeout, gpu.required, gpu.may_change) == (timedelta(seconds=30), False, False)
    assert (restart.timeout, restart.effects) == (
        timedelta(minutes=10),
        frozenset({Effect.CHANGE}),
    )
    assert (serves.within, serves.every) == (timedelta(minutes=5), timedelta(seconds=5))
    assert playbook.effects == {Effect.READ, Effect.CHANGE}
    assert playbook.parameters["unit"].default == "vllm"
    assert playbook.parameters["host"].required


MISTAKES = [
    ("parameters/unit/default", "a b", "parameters/unit/default", 0, "the pattern"),
    ("parameters/unit/pattern", "(", "parameters/unit", 0, "RE2"),
    ("approval", {"from": ["role:oncal"]}, "approval/from/0", 0, "did you mean 'oncall'?"),
    ("approval", {"from": ["alice"]}, "approval/from/0", 0, "'role:oncall'"),
    ("approval", {"from": []}, "approval/from", 0, "somebody must be asked"),
    ("approval", {"expires": "soon"}, "approval/expires", 0, "isn't a duration"),
    ("guards/cooldown", {"for": "x"}, "guards/cooldown/for", 0, "isn't a duration"),
    ("guards/budget", {"runs": 1, "within": "x"}, "guards/budget/within", 0, "isn't a duration"),
    (
        "guards/blast_radius",
        {"group": "${{ target(params.hots).service }}", "max_unavailable": 1},
        "guards/blast_radius/group",
        12,
        "did you mean 'params.host'?",
    ),
    (
        "guards/blast_radius",
        {"group": "x", "max_unavailable": "some"},
        "guards/blast_radius/max_unavailable",
        0,
        "'10%'",
    ),
    ("guards/others_at_work", {"within": "x"}, "guards/others_at_work/within", 0, "a duration"),
    (
        "guards/requires",
        {"healthy": ["${{ params.host }}", "gpu-7"]},
        "guards/requires/healthy/1",
        0,
        "unknown service or target 'gpu-7'",
    ),
    ("guards/requires", {}, "guards/requires", 0, "it requires nothing"),
    (
        "guards/requires",
        {
            "check": {
                "id": "up",
                "uses": "http.request",
                "with": {"method": "GET", "url": "http://a"},
            }
        },
        "guards/requires/check",
        0,
        "it needs `until`",
    ),
    ("timeout", "0s", "timeout", 0, "no time"),
    ("deadline", "0s", "deadline", 0, "no time"),
    ("on_failure", {"playbook": "failovre"}, "on_failure/playbook", 0, "did you mean 'failover'?"),
    ("on_failure", {"playbook": "failover"}, "on_failure/playbook", 0, "needs 'host' in `with`"),
    (
        "on_failure",
        {"playbook": "failover", "with": {"host": "gpu-7"}},
        "on_failure/with/host",
        0,
        "did you mean 'gpu-07'?",
    ),
    (
        "on_failure",
        {"playbook": "failover", "with": {"host": "${{ params.hots }}"}},
        "on_failure/with/host",
        5,
        "did you mean 'params.host'?",
    ),
    (
        "on_failure",
        {"playbook": "failover", "with": {"host": "gpu-07", "whi": "x"}},
        "on_failure/with/whi",
        0,
        "did you mean 'why'?",
    ),
]


def test_what_others_did_may_be_left_alone_and_no_cooldown_may_be_nothing() -> None:
    playbook, told = compiled(changed("guards", {"others_at_work": {"within": "0s"}}))
    assert not told
    assert playbook is not None
    _, told = compiled(changed("guards", {"cooldown": {"for": "0s"}}))
    ((path, _, message),) = told
    assert (path, "no time at all" in message) == ("guards/cooldown/for", True)


@pytest.mark.parametrize(
    ("change", "value", "path", "column", "message"),
    [pytest.param(*row, id=f"{row[0]}={row[1]}") for row in MISTAKES],
)
def test_a_mistake_is_told_with_its_place(
    change: str, value: object, path: str, column: int, message: str
) -> None:
    assert_told(changed(change, value), path, column, message)


def _command(**words: object) -> Mapping[str, object]:
    return {**COMMANDS["restart-unit"], **words}


@pytest.mark.parametrize(
    ("command", "path", "message"),
    [
        pytest.param(_command(argv=["a", "${{ args.unti }}"]), "argv/1", "'args.unit'?", id="name"),
        pytest.param(_command(argv=["${{ args.unit }}"]), "argv/0", "constant", id="program"),
        pytest.param(_command(argv=["a", "${{ [1] }}"]), "argv/1", "takes text", id="list"),
        pytest.param(
            _command(argv=["a", "{unit}"], repeat="harmless", probe=None),
            "args/unit",
            "write it there as '${{ args.unit }}'",
            id="unused",
        ),
        pytest.param(
            _command(argv=["a", "${{ args.unti }}"], repeat="harmless", probe=None),
            "argv/1",
            "'args.unit'?",
            id="misspelt-and-unused",
        ),
        pytest.param(_command(probe=None), "repeat", "needs a `probe`", id="no-probe"),
        pytest.param(_command(repeat="never"), "probe", "only with", id="unused-probe"),
        pytest.param(
            _command(effect="read", repeat="never", probe=None), "repeat", "harmless", id="read"
        ),
        pytest.param(
            _command(args={"unit": {"type": "enum"}}), "args/unit", "needs `values`", id="argument"
        ),
        pytest.param(
            _command(probe={"argv": ["a"], "done": "result.stdot == ''"}),
            "probe/done",
            "'result.stdout'?",
            id="done",
        ),
    ],
)
def test_a_mistake_in_a_command_is_told(
    command: Mapping[str, object], path: str, message: str
) -> None:
    document = CommandsDocument.model_validate({"language": 1, "commands": {"c": command}})
    mistakes = Mistakes()
    check_commands(document.commands, mistakes)
    (mistake,) = mistakes.found
    assert "/".join(map(str, mistake.path)) == f"commands/c/{path}"
    assert message in mistake.message
