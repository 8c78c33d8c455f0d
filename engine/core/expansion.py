"""A playbook's steps as the flat list of a plan: `foreach` and `call` are spread out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from engine.core.expressions import ExpressionFailedError
from engine.core.loops import batches, items_of
from engine.core.parameters import check_parameters
from engine.core.plan import Place
from engine.core.playbook import Call, Playbook, Step
from engine.core.rendering import render
from engine.core.scopes import Known

# Told of a step that can't be planned; it raises, unless holes are allowed.
Hole = Callable[[str, ExpressionFailedError], None]


@dataclass(frozen=True, slots=True)
class Placed:
    """A step of the text at one place of the plan. `known` is what it sees from there.

    `suffix` is how its item ends its id.
    """

    step: Step
    id: str
    known: Known
    undoes: str = ""
    place: Place | None = None
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the steps of one playbook stand: below `place`, None for the plan's own playbook.

    `text` begins their ids in the playbooks' texts. `known` is what the plan's own steps see.
    """

    playbook: Playbook
    known: Known
    hole: Hole
    text: str = ""
    place: Place | None = None

    @property
    def batch(self) -> str:
        """The batch of an outer loop that all of it is in, "" without one."""
        return self.place.batch if self.place is not None else ""

    def beside(self, lane: tuple[str, str] | None) -> "_Frame":
        """As one lane of what is done side by side: a branch, an item; None is no lane."""
        if lane is None:
            return self
        group, name = lane
        base = self.place or Place(origin="")
        lanes = (*base.lanes, (base.frame + group, name))
        return replace(self, place=base.model_copy(update={"lanes": lanes}))

    def put(self, step: Step, suffix: str = "", **where: object) -> Placed:
        """One of its steps at its place, which `where` says in a loop."""
        if self.place is None and not where:
            return Placed(step, step.id, self.known)
        base = self.place or Place(origin="")
        place = base.model_copy(update={"origin": self.text + step.id, **where})
        step_id = f"{place.frame}{step.id}{suffix}"
        return Placed(step, step_id, self.known.at(place), place=place, suffix=suffix)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Every step of a plan, in its order, and each call's playbook with what its steps see."""

    steps: tuple[Placed, ...]
    calls: tuple[tuple[Playbook, Known], ...]


def expand(playbook: Playbook, known: Known, hole: Hole) -> Expansion:
    """The steps in the order of a plan: guards, steps, verification, rollback, on_cancel."""
    frames = [_Frame(playbook, known, hole)]
    steps = list(_steps(frames[0], frames))
    return Expansion(
        (
            *(frames[0].put(step) for step in playbook.guard_reads),
            *steps,
            *(frames[0].put(step) for step in playbook.verify),
            *(_beside(done, undo) for done in steps for undo in done.step.rollback),
            *(frame.put(step) for frame in frames for step in frame.playbook.on_cancel),
        ),
        tuple((each.playbook, known.at(each.place)) for each in frames if each.place is not None),
    )


def investigations(playbook: Playbook, known: Known) -> Iterator[Placed]:
    """What is looked at before the plan is made, the called playbooks' looks last.

    What one of them is given may follow from an earlier look: ask again after each.
    """
    frames = [_Frame(playbook, known, lambda *_: None)]
    yield from (frames[0].put(step) for step in playbook.investigate)
    if playbook.called:
        list(_steps(frames[0], frames))
        for frame in frames[1:]:
            yield from (frame.put(step) for step in frame.playbook.investigate)


def _beside(done: Placed, undo: Step) -> Placed:
    """What undoes a step, at that one's place."""
    if done.place is None:
        return Placed(undo, undo.id, done.known, done.id)
    text = done.place.origin.removesuffix(done.step.id)
    # The way back is one after the other.
    place = done.place.model_copy(update={"origin": text + undo.id, "lanes": ()})
    undo_id = f"{place.frame}{undo.id}{done.suffix}"
    return Placed(undo, undo_id, done.known, done.id, place)


def _steps(frame: _Frame, frames: list[_Frame]) -> Iterator[Placed]:
    """The steps of a frame; those of the playbooks that it calls are added to `frames`."""
    for lane, group in groupby(frame.playbook.steps, key=lambda step: step.lane):
        yield from _row(frame.beside(lane), frames, group)


def _row(frame: _Frame, frames: list[_Frame], row: Iterable[Step]) -> Iterator[Placed]:
    for loop, group in groupby(row, key=lambda step: step.loop):
        steps = list(group)
        if loop is None:
            for step in steps:
                yield from _one(frame, frames, step)
            continue
        loop_id = (frame.place.frame if frame.place else "") + loop.id
        try:
            items = items_of(loop, frame.put(steps[0]).known.bindings())
        except ExpressionFailedError as error:
            frame.hole(loop_id, error)
            continue
        # Batch by batch, and in a batch each step for all items at once before the next step.
        for number, batch in enumerate(batches(items, loop.serial), 1):
            name = frame.batch or f"{loop_id}[batch-{number}]"
            for step in steps:
                if step.wait:
                    # Time passes once for all of them.
                    yield frame.put(step, f"[batch-{number}]", loop=loop_id, batch=name)
                    continue
                for item in batch:
                    where = {
                        "loop": loop_id,
                        "item": str(item),
                        "batch": name,
                        "stop_after": min(loop.stop_after, len(items)),
                        "names": {loop.name: item},
                    }
                    lane = (f"{loop.id}[batch-{number}]/{step.id}", str(item))
                    beside = frame.beside(lane if len(batch) > 1 else None)
                    yield from _one(beside, frames, step, f"[{item}]", **where)


def _one(
    frame: _Frame, frames: list[_Frame], step: Step, suffix: str = "", **where: object
) -> Iterator[Placed]:
    """A step, or what the playbook that it calls does and proves."""
    placed = frame.put(step, suffix, **where)
    if step.call is None:
        yield placed
        return
    try:
        called = _called(frame, placed, step.call)
    except ExpressionFailedError as error:
        frame.hole(placed.id, error)
        return
    frames.append(called)
    if step.condition is not None:
        # Its steps ask how this one ended.
        yield placed
    yield from _steps(called, frames)
    yield from (called.put(replace(each, phase="steps")) for each in called.playbook.verify)
    if called.playbook.outputs:
        yield called.put(called.playbook.giving)


def _called(frame: _Frame, placed: Placed, call: Call) -> _Frame:
    bindings = placed.known.bindings()
    given = {name: render(value, bindings) for name, value in call.parameters.items()}
    arguments = check_parameters(call.playbook.parameters, given, frame.known.inventory)
    if arguments.problems:
        raise ExpressionFailedError("; ".join(arguments.problems))
    base = placed.place or Place(origin="")
    gate = placed.id if placed.step.condition is not None else base.gate
    place = base.model_copy(
        update={
            "frame": f"{placed.id}/",
            "gate": gate,
            "names": {},
            "parameters": dict(arguments.values),
        }
    )
    text = f"{frame.text}{placed.step.id}/"
    return replace(frame, playbook=call.playbook, text=text, place=place)
