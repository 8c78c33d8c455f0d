"""`foreach`: what it goes through, in which batches, and how its items are told apart."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import re2

from engine.core.compiling import compile_value
from engine.core.documents import MAX_ITEMS, Foreach, StepDocument
from engine.core.expressions import Bindings, ExpressionFailedError, Scope, ValueType
from engine.core.mistakes import Mistakes
from engine.core.rendering import Renderable, render
from engine.core.templates import Template

# It stands in the ids of its steps: restart[gpu-07].
_ITEM = r"[^\s\[\]]{1,128}"
_NAMES_OF_OTHERS = frozenset({"alert", "incident", "params", "result", "steps"})

Item: TypeAlias = "str | int"


@dataclass(frozen=True, slots=True)
class Loop:
    """A checked `foreach`. `serial` are sizes of batches or shares like "50%"; the last repeats.

    After `stop_after` items with a step that failed, no further one is begun.
    """

    id: str
    items: Renderable
    name: str
    serial: tuple[int | str, ...]
    stop_after: int


def looped(documents: Iterable[StepDocument], loop: str = "") -> Iterator[tuple[str, str]]:
    """Each loop, and each step that stands in one, however deep, with the loop's id."""
    for each in documents:
        around = each.id if each.foreach is not None else loop
        if around:
            yield each.id, around
        yield from looped((*each.steps, *(each.parallel or ())), around)


def compile_loop(
    loop_id: str, document: Foreach, inputs: Scope, mistakes: Mistakes
) -> tuple[Loop, ValueType]:
    """The loop, and the type of its items. Its list sees what inputs see."""
    items = compile_value(
        list(document.in_) if isinstance(document.in_, tuple) else document.in_,
        inputs,
        ValueType.list_of(ValueType.DYN),
        mistakes.at("in"),
    )
    # What an author wrote has the form that they meant.
    element = ValueType.FORMATTED
    if isinstance(items, Template):
        element = items.type.element or ValueType.DYN
    if document.as_ in _NAMES_OF_OTHERS:
        mistakes.at("as").add(f"{document.as_!r} names something else here; choose another name")
    serial = document.serial if isinstance(document.serial, tuple) else (document.serial,)
    for each in serial:
        if not _is_size(each):
            mistakes.at("serial").add(f"{each!r} isn't a number of items or a share like '50%'")
    if not serial:
        mistakes.at("serial").add("say how many items go together, like 1 or [1, '50%']")
    return Loop(loop_id, items, document.as_, serial, document.stop_after_failures), element


def _is_size(size: int | str) -> bool:
    if isinstance(size, int):
        return size >= 1
    return re2.fullmatch(r"[1-9][0-9]?%|100%", size) is not None


def items_of(loop: Loop, bindings: Bindings) -> Sequence[Item]:
    """The items, each once. Raises ExpressionFailedError for what can't be gone through."""
    found = render(loop.items, bindings)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ExpressionFailedError(f"foreach needs a list, and this is {found!r}")
    if len(found) > MAX_ITEMS:
        raise ExpressionFailedError(f"foreach has {len(found)} items, and {MAX_ITEMS} is the most")
    items: dict[str, Item] = {}
    for item in found:
        if isinstance(item, bool) or not isinstance(item, str | int):
            raise ExpressionFailedError(f"an item of foreach is a text or a number, not {item!r}")
        if re2.fullmatch(_ITEM, str(item)) is None:
            raise ExpressionFailedError(
                f"the item {item!r} of foreach can't name steps: at most 128 characters, and no "
                "blank or bracket among them"
            )
        if str(item) in items:
            raise ExpressionFailedError(f"the item {item!r} of foreach is there twice")
        items[str(item)] = item
    return list(items.values())


def batches(items: Sequence[Item], serial: Sequence[int | str]) -> Iterator[Sequence[Item]]:
    """The items batch by batch, as Ansible's `serial` does: a share of all, at least one item.

    Source: ansible-core, "Setting the batch size with serial".
    """
    at, number = 0, 0
    while at < len(items):
        size = serial[min(number, len(serial) - 1)]
        if isinstance(size, str):
            size = max(len(items) * int(size.removesuffix("%")) // 100, 1)
        yield items[at : at + size]
        at, number = at + size, number + 1


def without_items(step_id: str) -> str:
    """The id as the playbook's text has it: `restart[gpu-07]` is of `restart`."""
    return str(re2.sub(r"\[[^\[\]]*\]", "", step_id))
