from typing import Any

import pytest

from engine.core.expressions import Bindings, ExpressionFailedError
from engine.core.loops import Item, Loop, batches, items_of, without_items
from tests.doubles.playbooks import PLAYBOOK, changed, compiled


@pytest.mark.parametrize(
    ("count", "serial", "sizes"),
    [
        pytest.param(3, (1,), [1, 1, 1], id="one after the other"),
        pytest.param(10, (1, "50%"), [1, 5, 4], id="first one, then half of all; the last repeats"),
        pytest.param(10, ("100%",), [10], id="all at once"),
        pytest.param(3, ("10%",), [1, 1, 1], id="a share of less than one is one"),
        pytest.param(7, ("30%",), [2, 2, 2, 1], id="shares are rounded down"),
        pytest.param(2, (5,), [2], id="more than there are"),
        pytest.param(0, (1,), [], id="nothing"),
    ],
)
def test_items_go_in_batches_as_in_ansible(
    count: int, serial: tuple[int | str, ...], sizes: list[int]
) -> None:
    items: list[Item] = list(range(count))
    found = list(batches(items, serial))
    assert [len(batch) for batch in found] == sizes
    assert [item for batch in found for item in batch] == items


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        pytest.param("gpu-07", "needs a list", id="text"),
        pytest.param([{"a": 1}], "a text or a number", id="map"),
        pytest.param([True], "a text or a number", id="bool"),
        pytest.param(["gpu 07"], "no blank", id="blank"),
        pytest.param(["a[0]"], "no blank or bracket", id="bracket"),
        pytest.param([""], "can't name", id="empty"),
        pytest.param(["a", "a"], "twice", id="twice"),
        pytest.param([str(n) for n in range(201)], "200 is the most", id="too many"),
    ],
)
def test_what_cant_be_gone_through_is_told(items: object, problem: str) -> None:
    loop = Loop("each", items, "host", (1,), 1)  # type: ignore[arg-type]
    with pytest.raises(ExpressionFailedError, match=problem.replace("(", r"\(")):
        items_of(loop, Bindings({}))


def test_the_id_in_the_text_is_found_behind_items() -> None:
    assert [without_items(each) for each in ("restart", "restart[gpu-07]", "a[x/y]/b[1]")] == [
        "restart",
        "restart",
        "a/b",
    ]


INNER: dict[str, Any] = {
    "id": "restart",
    "uses": "ssh.run",
    "with": {"host": "${{ host }}", "command": "restart-unit", "args": {"unit": "vllm"}},
    "rollback": "none",
}
EACH = {"in": ["gpu-07"], "as": "host"}


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        pytest.param({"foreach": {**EACH, "serial": 0}}, "foreach/serial", "'50%'", id="serial 0"),
        pytest.param({"foreach": {**EACH, "serial": ["5"]}}, "foreach/serial", "'5'", id="text"),
        pytest.param({"foreach": {**EACH, "serial": "101%"}}, "foreach/serial", "'101%'", id="101"),
        pytest.param({"foreach": {**EACH, "as": "params"}}, "foreach/as", "another name", id="as"),
        pytest.param({"foreach": {**EACH, "in": "${{ 5 }}"}}, "foreach/in", "list", id="no list"),
        pytest.param({"foreach": EACH, "timeout": "5m"}, "timeout", "goes through", id="timeout"),
        pytest.param({"foreach": EACH, "steps": []}, "", "needs `steps`", id="no steps"),
        pytest.param(
            {"foreach": EACH, "steps": [{**INNER, "with": {"host": "${{ hots }}"}}]},
            "steps/0/with/host",
            "'hots'",
            id="another name",
        ),
        pytest.param(
            {"foreach": EACH, "steps": [{"id": "inner", "foreach": EACH, "steps": [INNER]}]},
            "steps/0/foreach",
            "inside of a foreach",
            id="nested",
        ),
        pytest.param(
            {"foreach": EACH, "steps": [{"id": "w", "wait": "5s", "if": 'host == "a"'}]},
            "steps/0/if",
            "whole batch",
            id="wait",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(step: dict[str, object], path: str, message: str) -> None:
    _, told = compiled(changed("steps", [{"id": "each", "steps": [INNER], **step}]))
    assert ("/".join(["steps/0", path]).rstrip("/"), message) in [
        (place, message) for place, _, said in told if message in said
    ]


def test_what_is_in_a_loop_sees_its_item_and_nothing_behind_it_does() -> None:
    each = {"id": "each", "foreach": EACH, "steps": [INNER]}
    after = {**INNER, "id": "after"}
    _, told = compiled(changed("steps", [each, after]))
    ((path, _, message),) = told
    assert path == "steps/1/with/host"
    assert "'host'" in message
    asks = {**PLAYBOOK["steps"][0], "id": "after", "if": "steps.restart.exit_code == 0"}
    _, told = compiled(changed("steps", [each, asks]))
    ((path, _, message),) = told
    assert path == "steps/1/if"
    assert "'restart' is one of the loop 'each'" in message


def test_a_step_of_a_loop_is_told_as_one_wherever_it_is_named() -> None:
    nested = {"id": "both", "steps": [INNER]}
    look = {"host": "${{ host }}", "command": "gpu-state"}
    each = {"id": "each", "foreach": EACH, "steps": [nested]}
    before = {**INNER, "id": "before", "with": {**INNER["with"], "host": "gpu-07"}}
    for named, said in (("restart", "is one of the loop 'each'"), ("each", "is a loop, and")):
        asks = {**before, "if": f'steps.{named}.outcome == "succeeded"'}
        _, told = compiled(changed("steps", [asks, each]))
        assert [path for path, _, message in told if said in message] == ["steps/0/if"]
    # In the loop itself it is a step like any other.
    early = {"id": "early", "uses": "ssh.read", "with": look, "if": "steps.restart.exit_code == 0"}
    _, told = compiled(changed("steps", [{**each, "steps": [early, INNER]}]))
    ((path, _, message),) = told
    assert (path, "isn't known here" in message) == ("steps/0/steps/0/if", True)
    inner = {**INNER, "with": {**INNER["with"], "host": "${{ steps.restart.stdout }}"}}
    _, told = compiled(changed("steps", [{**each, "steps": [inner]}]))
    ((path, _, message),) = told
    assert (path, "isn't known here" in message) == ("steps/0/steps/0/with/host", True)


def test_the_condition_of_a_loop_is_that_of_each_of_its_steps() -> None:
    each = {"id": "each", "foreach": EACH, "if": 'steps.gpu.outcome == "succeeded"'}
    own = {**INNER, "id": "own", "if": 'host != "gpu-08"'}
    playbook, told = compiled(changed("steps", [{**each, "steps": [INNER, own]}]))
    assert not told
    assert playbook is not None
    assert [step.condition.text for step in playbook.steps if step.condition] == [
        'steps.gpu.outcome == "succeeded"',
        '(steps.gpu.outcome == "succeeded") && (host != "gpu-08")',
    ]
