import pytest

from tests.doubles.playbooks import PLAYBOOK, assert_told, changed, compiled

MISTAKES = [
    ("steps/0/uses", "ssh.rum", "steps/0/uses", 0, "did you mean 'ssh.run'?"),
    ("steps/0/rollback", ..., "steps/0", 0, "write `rollback: none`"),
    ("steps/0/if", "steps.gpu.exit_code", "steps/0/if", 1, "bool is needed"),
    ("steps/0/if", "steps.serves.ok", "steps/0/if", 1, "'steps.serves.ok' isn't known here"),
    ("steps/0/timeout", "10 m", "steps/0/timeout", 0, "isn't a duration"),
    (
        "investigate/0/until",
        "true",
        "investigate/0/until",
        0,
        "belongs to `steps` and `rollback` and `on_cancel` and `guards` and `verify`, not to "
        "`investigate`",
    ),
    ("steps/0/retry", {"attempts": 2, "wait": "x"}, "steps/0/retry/wait", 0, "isn't a duration"),
    ("steps/0/id", "gpu", "steps/0/id", 0, "ids are unique"),
    ("steps/0/affects", ["gpu-7"], "steps/0/affects/0", 0, "unknown target 'gpu-7'"),
    ("steps/0/affects", ["${{ params.hots }}"], "steps/0/affects/0", 5, "params.hots"),
    ("investigate/0/affects", [], "investigate/0/affects", 0, "not to `investigate`"),
    ("verify/0/until", ..., "verify/0", 0, "needs `until`"),
    ("verify/0/until", "result.okay", "verify/0/until", 1, "did you mean 'result.ok'?"),
]


@pytest.mark.parametrize(
    ("change", "value", "path", "column", "message"),
    [pytest.param(*row, id=f"{row[0]}={row[1]}") for row in MISTAKES],
)
def test_a_mistake_is_told_with_its_place(
    change: str, value: object, path: str, column: int, message: str
) -> None:
    assert_told(changed(change, value), path, column, message)


def test_investigation_and_verification_only_read() -> None:
    step = {
        **PLAYBOOK["steps"][0],
        "id": "early",
        "with": {**PLAYBOOK["steps"][0]["with"]},
    }
    del step["if"], step["rollback"]
    _, told = compiled(changed("investigate", [step]))
    assert (
        "investigate/0/uses",
        0,
        "`investigate` only reads, and this step changes something",
    ) in (told)
    late = {**step, "until": "result.exit_code == 0", "within": "1m"}
    _, told = compiled(changed("verify", [late]))
    assert [message for _, _, message in told] == [
        "`verify` only reads, and this step changes something"
    ]


def test_what_undoes_a_step_may_ask_how_it_ended() -> None:
    undo = {
        "id": "undo",
        "uses": "ssh.run",
        "with": PLAYBOOK["steps"][0]["with"],
        "if": 'steps.restart.outcome == "failed"',
    }
    playbook, told = compiled(changed("steps/0/rollback", [undo]))
    assert not told
    assert playbook is not None
    assert playbook.steps[0].rollback[0].phase == "rollback"


def test_what_takes_a_step_back_affects_the_same_unless_it_says_otherwise() -> None:
    undo = {"uses": "ssh.run", "with": PLAYBOOK["steps"][0]["with"]}
    look = {"uses": "ssh.read", "with": PLAYBOOK["investigate"][0]["with"]}
    document = changed("steps/0/affects", ["${{ params.host }}"])
    document["steps"][0]["rollback"] = [
        {"id": "look", **look},
        {"id": "same", **undo},
        {"id": "none", **undo, "affects": []},
    ]
    playbook, told = compiled(document)
    assert not told
    assert playbook is not None
    (step,) = playbook.steps
    assert step.affects is not None
    assert len(step.affects) == 1
    assert [each.affects for each in step.rollback] == [None, step.affects, ()]


def test_a_read_affects_nothing() -> None:
    read = {**PLAYBOOK["investigate"][0], "id": "read", "affects": []}
    assert_told(changed("steps", [read]), "steps/0/affects", 0, "only reads, which affects nothing")


def test_a_change_after_another_does_not_see_its_undoing() -> None:
    document = changed(
        "steps/0/rollback",
        [{"id": "undo", "uses": "ssh.run", "with": PLAYBOOK["steps"][0]["with"]}],
    )
    again = {**PLAYBOOK["steps"][0], "id": "again", "if": 'steps.undo.outcome == "failed"'}
    document["steps"].append(again)
    _, told = compiled(document)
    assert [path for path, _, _ in told] == ["steps/1/if"]


def change(step_id: str, **more: object) -> dict[str, object]:
    return {
        "id": step_id,
        "uses": "ssh.run",
        "with": PLAYBOOK["steps"][0]["with"],
        "rollback": "none",
        **more,
    }


def both(*branches: object, **more: object) -> dict[str, object]:
    return changed("steps", [{"id": "both", "parallel": list(branches), **more}])


def test_each_branch_is_a_lane_and_a_branch_may_have_several_steps() -> None:
    row = [change("second"), {"id": "settle", "wait": "5s"}]
    playbook, told = compiled(both(change("first"), {"id": "other", "steps": row}))
    assert not told
    assert playbook is not None
    assert [(each.id, each.lane) for each in playbook.steps] == [
        ("first", ("both", "first")),
        ("second", ("both", "other")),
        ("settle", ("both", "other")),
    ]


SEES = 'steps.first.stdout == "x"'


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param(
            both(change("first"), change("second", **{"if": SEES})),
            "steps/0/parallel/1/if",
            id="another branch",
        ),
        pytest.param(
            both(
                {"id": "row", "steps": [change("first"), change("b", **{"if": SEES})]}, change("c")
            ),
            "",
            id="its own branch",
        ),
        pytest.param(
            {
                **both(change("first"), change("second")),
                "steps": [
                    *both(change("first"), change("second"))["steps"],  # type: ignore[misc]
                    change("after", **{"if": SEES}),
                ],
            },
            "",
            id="behind it",
        ),
        pytest.param(
            {
                **both(change("first"), change("second")),
                "steps": [
                    *both(change("first"), change("second"), **{"if": "failure()"})["steps"],  # type: ignore[misc]
                    change("after", **{"if": SEES}),
                ],
            },
            "steps/1/if",
            id="behind one with an if",
        ),
    ],
)
def test_a_branch_sees_its_own_steps_and_what_is_behind_it_sees_all(
    document: dict[str, object], path: str
) -> None:
    playbook, told = compiled(document)
    assert [where for where, _, _ in told] == ([path] if path else [])
    assert (playbook is None) == bool(path)


@pytest.mark.parametrize(
    ("steps", "path", "message"),
    [
        pytest.param(
            [
                {
                    "id": "a",
                    "parallel": [change("b"), {"id": "c", "parallel": [change("d"), change("e")]}],
                }
            ],
            "steps/0/parallel/1/parallel",
            "can't stand inside of a parallel",
            id="in another",
        ),
        pytest.param(
            [
                {
                    "id": "a",
                    "foreach": {"in": ["x"], "as": "n"},
                    "steps": [{"id": "b", "parallel": [change("c"), change("d")]}],
                }
            ],
            "steps/0/steps/0/parallel",
            "can't stand inside of a foreach",
            id="in a loop",
        ),
        pytest.param(
            [
                {
                    "id": "a",
                    "parallel": [change("b"), {"id": "c", "steps": [change("d")], "timeout": "1m"}],
                }
            ],
            "steps/0/parallel/1/timeout",
            "a branch of several steps",
            id="a word that a branch hasn't",
        ),
        pytest.param(
            [
                {
                    "id": "a",
                    "parallel": [
                        change("b"),
                        {
                            "id": "c",
                            "foreach": {"in": ["x"], "as": "n"},
                            "steps": [change("d")],
                        },
                    ],
                }
            ],
            "steps/0/parallel/1/foreach",
            "can't stand inside of a parallel",
            id="a loop in it",
        ),
        pytest.param([{"id": "a", "steps": [change("b")]}], "steps/0", "one of", id="no branch"),
        pytest.param(
            [{"id": "a", "parallel": [change("b"), change("b")]}],
            "steps/0/parallel/1/id",
            "ids are unique",
            id="one id twice",
        ),
    ],
)
def test_a_parallel_that_is_none_is_told(steps: object, path: str, message: str) -> None:
    playbook, told = compiled(changed("steps", steps))
    assert playbook is None
    assert [where for where, _, _ in told] == [path]
    assert message in told[0][2]


def test_the_if_of_a_parallel_counts_for_each_of_its_steps() -> None:
    asks = 'steps.gpu.outcome == "failed"'
    inner = change("second", **{"if": "failure()"})
    playbook, told = compiled(both(change("first"), inner, **{"if": asks}))
    assert not told
    assert playbook is not None
    texts = [step.condition.text for step in playbook.steps if step.condition is not None]
    assert texts == [asks, f"({asks}) && (failure())"]
