"""What a playbook asks for that no run can ever do: told when it is loaded, not in an incident.

Only what is certain from its own text and the inventory; the rest is found when a plan is made.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain

from engine.core.actions import Declaration
from engine.core.documents import PlaybookDocument, StepDocument
from engine.core.durations import parse_duration
from engine.core.expressions import Bindings, ExpressionFailedError
from engine.core.inventory import Inventory
from engine.core.loops import Loop, items_of
from engine.core.mistakes import Mistakes
from engine.core.playbook import Playbook, Step
from engine.core.rendering import render
from engine.core.steps import PlaybookContext
from engine.core.templates import Template


def check_possible(
    document: PlaybookDocument, playbook: Playbook, context: PlaybookContext, mistakes: Mistakes
) -> None:
    """Note what can't be; `playbook` is the document compiled without a mistake.

    It is for files, not for the text that a run began with: the inventory may have changed since.
    """
    _check_deadline(document, playbook.deadline, mistakes)
    _check_times(document, playbook.deadline, mistakes)
    _check_blast_radius(
        document, playbook, context.inventory, mistakes.at("guards", "blast_radius")
    )
    for index, written in enumerate(document.steps):
        if written.foreach is not None:
            here = mistakes.at("steps", index, "foreach", "in")
            inside = [step for step in playbook.steps if step.loop and step.loop.id == written.id]
            _check_items(inside, context, here)


def _check_deadline(document: PlaybookDocument, deadline: timedelta, mistakes: Mistakes) -> None:
    """Times that surely pass must fit into the deadline, which the first attempt begins."""
    waited = timedelta(0)
    begun = False
    for step, here in _surely_done(document.steps, mistakes.at("steps")):
        # What changes something says how it is undone.
        begun = begun or step.rollback is not None
        word = "wait" if step.wait is not None else "stable_for"
        lasts = step.wait or step.stable_for
        if lasts is not None and begun:
            waited += parse_duration(lasts)
            if waited >= deadline:
                here.at(word).add(
                    f"the run's deadline of {document.deadline} is over by then, so nothing "
                    "behind it is done; write a longer `deadline`"
                )
                return
    for index, step in enumerate(document.verify):
        if step.stable_for is not None and waited + parse_duration(step.stable_for) >= deadline:
            mistakes.at("verify", index, "stable_for").add(
                f"the run's deadline of {document.deadline} is over by then, so it never holds; "
                "write a longer `deadline`"
            )


def _check_times(document: PlaybookDocument, deadline: timedelta, mistakes: Mistakes) -> None:
    """What may take longer than the whole run: the one or the other isn't meant so."""
    begun = False
    in_order = chain(
        _each(document.steps, mistakes.at("steps")), _each(document.verify, mistakes.at("verify"))
    )
    for step, here in in_order:
        begun = begun or step.rollback is not None
        for word, written in (("timeout", step.timeout), ("within", step.within)):
            if begun and written is not None and parse_duration(written) > deadline:
                here.at(word).add(
                    f"the run's deadline of {document.deadline} is over before that; write a "
                    "longer `deadline`, or less here"
                )


def _each(
    steps: Sequence[StepDocument], mistakes: Mistakes
) -> Iterator[tuple[StepDocument, Mistakes]]:
    """Every step, those inside of others too, with its place."""
    for index, step in enumerate(steps):
        here = mistakes.at(index)
        yield step, here
        yield from _each(step.steps, here.at("steps"))
        yield from _each(step.parallel or (), here.at("parallel"))


def _surely_done(
    steps: Sequence[StepDocument], mistakes: Mistakes
) -> Iterator[tuple[StepDocument, Mistakes]]:
    """Those that no `if` leaves out, with their places; a loop goes through its own once.

    Branches of a parallel take their time side by side: what that comes to isn't told.
    """
    for index, step in enumerate(steps):
        if step.if_ is None:
            yield from _surely_done(step.steps, mistakes.at(index, "steps"))
            if step.foreach is None and step.parallel is None:
                yield step, mistakes.at(index)


def _check_blast_radius(
    document: PlaybookDocument, playbook: Playbook, inventory: Inventory, mistakes: Mistakes
) -> None:
    """A service that the inventory doesn't know counts as unavailable: nothing would ever begin."""
    written = document.guards.blast_radius
    if written is None:
        return
    if isinstance(playbook.group, str) and playbook.group not in inventory.services:
        mistakes.at("group").unknown("service", playbook.group, inventory.services)
    share = written.max_unavailable
    if isinstance(share, str) and share.endswith("%") and int(share.removesuffix("%")) > 100:
        mistakes.at("max_unavailable").add(f"{share!r} is more than there are")


def _check_items(steps: Sequence[Step], context: PlaybookContext, mistakes: Mistakes) -> None:
    """A list that is written out can be gone through, and its targets are in the inventory.

    `steps` are those of one loop.
    """
    loop = steps[0].loop if steps else None
    if loop is None or isinstance(loop.items, Template):
        return
    try:
        items = items_of(loop, Bindings({}))
    except ExpressionFailedError as error:
        # An item that is an expression is known when the plan is made.
        if not any(isinstance(each, Template) for each in _listed(loop)):
            mistakes.add(str(error))
        return
    if not items:
        mistakes.add("the list is empty, so nothing is done")
    for index, item in enumerate(items):
        if any(
            not context.inventory.target_id(name)
            for name in _targets(steps, Bindings({loop.name: item}), context.actions)
        ):
            mistakes.at(index).unknown("target", str(item), context.inventory.targets)


def _listed(loop: Loop) -> Sequence[object]:
    return loop.items if isinstance(loop.items, Sequence) else ()


def _targets(
    steps: Sequence[Step], item: Bindings, actions: Mapping[str, Declaration]
) -> Iterator[str]:
    """The targets that steps name by the item alone."""
    for step in steps:
        for name, declared in actions[step.uses].inputs.items() if step.uses else ():
            value = step.inputs.get(name)
            if declared.names == "target" and isinstance(value, Template):
                try:
                    yield str(render(value, item))
                except ExpressionFailedError:
                    continue
