"""What a call may be given, and who may approve what it does."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from engine.core.calls import CallError, check_approvers
from engine.core.documents import PlaybookDocument
from engine.core.loops import Loop
from engine.core.mistakes import Mistakes
from engine.core.playbook import Playbook
from engine.core.playbook_checks import compile_playbook
from tests.doubles.playbooks import CONTEXT, PLAYBOOK, changed, compiled


class Shelf:
    """The small playbook as `mend`, as a loop, a broken one, and one that can't be called."""

    names: Collection[str] = ("mend", "rolling", "broken", "circle", "deep")

    def find(self, name: str) -> Playbook | None:
        if name == "circle":
            raise CallError("the calls go in a circle: a → b → a")
        found, told = compiled(PLAYBOOK)
        assert found is not None, told
        if name == "deep":
            for number in range(4):
                found = nested(f"level-{number}", found)
        if name == "rolling":
            loop = Loop("each", ["a"], "node", (1,), 1)
            found = replace(found, steps=tuple(replace(each, loop=loop) for each in found.steps))
        return None if name == "broken" else found


def nested(name: str, callee: Playbook) -> Playbook:
    found, told = calling({"call": "mend"}, with_=GIVEN)
    assert found is not None, told
    (step,) = found.steps
    assert step.call is not None
    return replace(found, id=name, steps=(replace(step, call=replace(step.call, playbook=callee)),))


GIVEN = {"host": "${{ params.host }}", "model": "${{ params.model }}"}


def calling(
    step: Mapping[str, Any], *, with_: Mapping[str, Any]
) -> tuple[Playbook | None, list[tuple[str, str]]]:
    return read(changed("steps", [{"id": "mend", "with": with_, **step}]))


def read(document: Mapping[str, Any]) -> tuple[Playbook | None, list[tuple[str, str]]]:
    mistakes = Mistakes()
    model = PlaybookDocument.model_validate(document)
    found = compile_playbook(model, "0" * 64, replace(CONTEXT, library=Shelf()), mistakes)
    return found, [("/".join(map(str, each.path)), each.message) for each in mistakes.found]


@pytest.mark.parametrize(
    ("step", "with_", "path", "message"),
    [
        pytest.param({"call": "men"}, GIVEN, "call", "did you mean 'mend'?", id="name"),
        pytest.param({"call": "circle"}, GIVEN, "call", "a → b → a", id="circle"),
        pytest.param({"call": "deep"}, GIVEN, "call", "4 is the most", id="deep"),
        pytest.param({"call": "mend", "timeout": "5m"}, GIVEN, "timeout", "calls a", id="word"),
        pytest.param(
            {"call": "mend"}, {"model": "m"}, "with", "needs 'host' in `with`", id="required"
        ),
        pytest.param(
            {"call": "mend"}, {"host": "gpu-07"}, "with", "needs 'model' in `with`", id="alert"
        ),
        pytest.param(
            {"call": "mend"}, {**GIVEN, "unti": "a"}, "with/unti", "'unit'?", id="unknown"
        ),
        pytest.param(
            {"call": "mend"}, {**GIVEN, "host": "gpu-7"}, "with/host", "'gpu-07'?", id="value"
        ),
        pytest.param(
            {"call": "mend"}, {**GIVEN, "host": "${{ [1] }}"}, "with/host", "list", id="type"
        ),
        pytest.param(
            {"call": "mend"},
            {**GIVEN, "host": "${{ steps.restart.stdout }}"},
            "with/host",
            "isn't known here",
            id="an output of a change",
        ),
    ],
)
def test_a_mistake_in_a_call_is_told_with_its_place(
    step: Mapping[str, Any], with_: Mapping[str, Any], path: str, message: str
) -> None:
    found, told = calling(step, with_=with_)
    assert found is None
    ((place, said),) = told
    assert place == f"steps/0/{path}"
    assert message in said


def test_what_is_wrong_with_the_called_playbook_is_told_in_its_own_file_alone() -> None:
    assert calling({"call": "broken"}, with_=GIVEN) == (None, [])


def test_nobody_approves_by_a_call_what_they_could_not_approve_by_itself() -> None:
    found, told = calling({"call": "mend"}, with_=GIVEN)
    assert not told
    assert found is not None
    mistakes = Mistakes()
    strict = replace(found, approval=replace(found.approval, ask=("role:dba",)))
    check_approvers({"mend": strict}, ("role:oncall",), mistakes)
    (mistake,) = mistakes.found
    assert mistake.path == ("approval", "from")
    assert "approved by role:dba alone, not by role:oncall" in mistake.message


def test_a_call_adds_what_the_called_playbook_does_declares_and_allows() -> None:
    found, told = calling({"call": "mend"}, with_=GIVEN)
    assert not told
    assert found is not None
    assert set(found.called) == {"restart"}
    assert found.effects == found.called["restart"].effects
    assert found.step("mend/restart").uses == "ssh.run"
    assert found.chain == ("restart", "restart")
    with pytest.raises(KeyError):
        found.step("mend/nothing")


@pytest.mark.parametrize(
    ("around", "path"),
    [
        pytest.param({"foreach": {"in": ["x"], "as": "n"}}, "steps/0/steps/0/call", id="foreach"),
        pytest.param({}, "steps/0/parallel/0/call", id="parallel"),
    ],
)
def test_a_loop_is_called_from_none_and_from_no_parallel(
    around: dict[str, object], path: str
) -> None:
    """Guards count one batch at a time."""
    call = {"id": "mend", "call": "rolling", "with": GIVEN}
    inner = {"steps": [call]} if around else {"parallel": [call, {"id": "w", "wait": "5s"}]}
    found, told = read(changed("steps", [{"id": "all", **around, **inner}]))
    assert found is None
    ((where, message),) = told
    assert where == path
    assert message.startswith("it has a foreach, which can't stand inside of a ")
    assert read(changed("steps", [call]))[0] is not None
