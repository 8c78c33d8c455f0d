"""The flat list of a plan: batch by batch, and in a batch step by step."""

from dataclasses import replace

from engine.core.expansion import expand
from engine.core.expressions import ExpressionFailedError
from engine.core.inventory import Inventory
from engine.core.loops import Loop
from engine.core.playbook import Call, Playbook
from engine.core.scopes import Known
from tests.doubles.runs import a_playbook, a_step, a_wait, an_incident

KNOWN = Known({}, an_incident(), Inventory())
UNDO = a_step("undo", "rollback")


def looped(loop: Loop) -> Playbook:
    steps = (a_step("drain", rollback=(UNDO,)), a_wait("settle", 5), a_step("restart"))
    inner = tuple(replace(step, loop=loop) for step in steps)
    return a_playbook(a_step("before"), *inner, a_step("after"))


def ids(playbook: Playbook, known: Known = KNOWN) -> list[str]:
    def none(where: str, error: ExpressionFailedError) -> None:
        raise AssertionError((where, error))

    return [placed.id for placed in expand(playbook, known, none).steps]


def test_a_batch_begins_when_the_one_before_is_over() -> None:
    assert ids(looped(Loop("each", ["a", "b", "c"], "host", (1, 2), 1))) == [
        "before",
        "drain[a]",
        "settle[batch-1]",
        "restart[a]",
        "drain[b]",
        "drain[c]",
        "settle[batch-2]",
        "restart[b]",
        "restart[c]",
        "after",
        "serves",
        "undo[a]",
        "undo[b]",
        "undo[c]",
    ]


def test_each_undoing_belongs_to_its_item() -> None:
    playbook = looped(Loop("each", ["a", "b"], "host", (1,), 1))
    undoing = [each for each in expand(playbook, KNOWN, lambda *_: None).steps if each.undoes]
    assert [(each.id, each.undoes, each.known.names) for each in undoing] == [
        ("undo[a]", "drain[a]", {"host": "a"}),
        ("undo[b]", "drain[b]", {"host": "b"}),
    ]


def test_the_items_of_a_batch_are_lanes_step_by_step_and_the_way_back_has_none() -> None:
    found = expand(looped(Loop("each", ["a", "b", "c"], "host", (1, 2), 1)), KNOWN, lambda *_: None)
    lanes = {each.id: each.place.lanes for each in found.steps if each.place and each.place.lanes}
    assert lanes == {
        "drain[b]": (("each[batch-2]/drain", "b"),),
        "drain[c]": (("each[batch-2]/drain", "c"),),
        "restart[b]": (("each[batch-2]/restart", "b"),),
        "restart[c]": (("each[batch-2]/restart", "c"),),
    }


def test_a_called_playbook_stands_in_the_branch_of_its_call() -> None:
    inner = a_playbook(*(replace(a_step(each), lane=("two", each)) for each in ("x", "y")))
    called = replace(a_step("mend"), uses="", call=Call(inner, {}), lane=("both", "mend"))
    playbook = a_playbook(called, replace(a_step("other"), lane=("both", "other")))
    found = expand(playbook, KNOWN, lambda *_: None).steps
    lanes = {each.id: each.place.lanes for each in found if each.place is not None}
    assert lanes == {
        "mend/x": (("both", "mend"), ("mend/two", "x")),
        "mend/y": (("both", "mend"), ("mend/two", "y")),
        "mend/serves": (("both", "mend"),),
        "other": (("both", "other"),),
    }


def test_a_loop_over_nothing_has_no_steps() -> None:
    assert ids(looped(Loop("each", [], "host", (1,), 1))) == ["before", "after", "serves"]


def test_a_list_that_isnt_known_is_a_hole() -> None:
    holes: list[str] = []
    playbook = looped(Loop("each", "no list", "host", (1,), 1))
    found = expand(playbook, KNOWN, lambda where, _: holes.append(where)).steps
    assert holes == ["each"]
    assert [each.id for each in found] == ["before", "after", "serves"]


def test_more_failures_than_items_are_never_allowed() -> None:
    playbook = looped(Loop("each", ["a", "b"], "host", (1,), 9))
    places = [each.place for each in expand(playbook, KNOWN, lambda *_: None).steps if each.place]
    assert {place.stop_after for place in places if place.item} == {2}
