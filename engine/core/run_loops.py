"""Steps of a run that failed: a `foreach` goes on without an item for as long as it may."""

from dataclasses import dataclass, field

from engine.core import events
from engine.core.plan import PlannedStep
from engine.core.run import RunState
from engine.core.run_commands import Record


@dataclass(slots=True)
class Failures:
    """`failed` ended the plan's steps; each of `lost` only those of its item."""

    failed: PlannedStep | None = None
    lost: list[PlannedStep] = field(default_factory=list)

    def add(self, step: PlannedStep) -> None:
        """A step has failed for good."""
        if self._may_lose(step):
            self.lost.append(step)
        else:
            self.failed = self.failed or step

    def passes_over(self, state: RunState, step: PlannedStep) -> Record | None:
        """What journals that a step isn't begun, because one before it failed for its item."""
        if state.step(step.phase, step.id).outcome != "pending":
            return None
        for failed in self.lost:
            if _item_of(failed) == _item_of(step):
                return Record(
                    events.StepSkipped(
                        run_id=state.run_id,
                        phase=step.phase,
                        step_id=step.id,
                        reason=f"{failed.id} failed before",
                    )
                )
        return None

    def ending(self, state: RunState) -> PlannedStep | None:
        """The step whose failure ends the run, if one did: any, where nothing else was begun."""
        if self.failed is None and self.lost and not state.began:
            return self.lost[0]
        return self.failed

    def told(self, state: RunState) -> tuple[events.RunOutcome, str]:
        """What the run came to where the rest was done."""
        known = [(step.id, state.step(step.phase, step.id)) for step in self.lost]
        told = "; ".join(f"{step_id}: {each.error or each.outcome}" for step_id, each in known)
        is_unknown = any(each.outcome == "unknown" for _, each in known)
        return "unknown" if is_unknown else "partial", f"not everything was done: {told}"

    def _may_lose(self, step: PlannedStep) -> bool:
        if step.place is None or not step.place.item:
            return False
        loop, _ = _item_of(step)
        gone = {item for each in (*self.lost, step) if (item := _item_of(each))[0] == loop}
        return len(gone) < step.place.stop_after


def _item_of(step: PlannedStep) -> tuple[str, str]:
    """The loop and the item of a step that stands in one; what a batch does once has no item."""
    if step.place is None or not step.place.item:
        return "", step.id
    return step.place.loop, step.place.item
