"""A playbook's steps as the flat list of a plan: what `foreach` goes through is spread out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.core.expressions import ExpressionFailedError
from engine.core.loops import Item, Loop, batches, items_of
from engine.core.plan import Place
from engine.core.playbook import Playbook, Step
from engine.core.scopes import Known

# Told of a step that can't be planned; it raises, unless holes are allowed.
Hole = Callable[[str, ExpressionFailedError], None]


@dataclass(frozen=True, slots=True)
class Placed:
    """A step of the text at one place of the plan. `known` is what it sees from there."""

    step: Step
    id: str
    known: Known
    undoes: str = ""
    place: Place | None = None


def expanded(playbook: Playbook, known: Known, hole: Hole) -> Iterator[Placed]:
    """Every step of the plan, in its order: guards, steps, verification, rollback, on_cancel."""
    steps = list(_spread(playbook.steps, known, hole))
    yield from (Placed(step, step.id, known) for step in playbook.guard_reads)
    yield from steps
    yield from (Placed(step, step.id, known) for step in playbook.verify)
    for done in steps:
        for undo in done.step.rollback:
            yield _beside(done, undo)
    yield from (Placed(step, step.id, known) for step in playbook.on_cancel)


def _beside(done: Placed, undo: Step) -> Placed:
    """What undoes a step, at that one's place."""
    if done.place is None:
        return Placed(undo, undo.id, done.known, done.id)
    place = done.place.model_copy(update={"origin": undo.id})
    return Placed(undo, _named(undo, place.item), done.known, done.id, place)


def _spread(steps: Sequence[Step], known: Known, hole: Hole) -> Iterator[Placed]:
    for loop, inner in groupby(steps, key=lambda step: step.loop):
        if loop is None:
            yield from (Placed(step, step.id, known) for step in inner)
            continue
        try:
            items = items_of(loop, known.bindings())
        except ExpressionFailedError as error:
            hole(loop.id, error)
            continue
        yield from _looped(loop, list(inner), items, known)


def _looped(
    loop: Loop, steps: Sequence[Step], items: Sequence[Item], known: Known
) -> Iterator[Placed]:
    """Batch by batch, each step for all items of the batch before the next step."""
    stop_after = min(loop.stop_after, len(items))
    for number, batch in enumerate(batches(items, loop.serial), 1):
        for step in steps:
            if not step.uses:
                # Time passes once for all of them.
                place = Place(origin=step.id, loop=loop.id)
                yield Placed(step, _named(step, f"batch-{number}"), known, place=place)
                continue
            for item in batch:
                place = Place(
                    origin=step.id,
                    loop=loop.id,
                    item=str(item),
                    stop_after=stop_after,
                    names={loop.name: item},
                )
                yield Placed(step, _named(step, str(item)), known.at(place), place=place)


def _named(step: Step, item: str) -> str:
    return f"{step.id}[{item}]"
