"""What a run's worker journals, with what follows from it before anything is read or done.

One commit carries it: a run waits for the disk once for all that is decided together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core import events
from engine.core.catalog import Catalog
from engine.core.followers import with_follower
from engine.core.playbook import Playbook
from engine.core.run_commands import Record
from engine.core.temporary import follow_ups
from engine.ports.expecting import expect_no_more
from engine.ports.intending import next_of
from engine.ports.recording import Author, record
from engine.ports.rows import Task
from engine.ports.run_look import Seen, look_again
from engine.ports.store import Tx
from engine.ports.undoing import revert_later

# What follows beyond it gets a commit of its own: others wait for this one.
FOLLOW_AT_MOST = 16


@dataclass(frozen=True, slots=True)
class Told:
    """The run afterwards, None once it has ended and its task is done; `story` is all of it."""

    seen: Seen | None
    story: Sequence[events.Event] = ()


def tell(
    tx: Tx,
    task: Task,
    current: Seen,
    follows: Playbook | None,
    catalog: Catalog,
    story: Sequence[events.Event],
) -> Told:
    """Journal the story of a run that hasn't ended, and what follows in one of this playbook.

    Without a playbook nothing follows: the worker is about to end, or does more of the run beside.
    """
    told: list[events.Event] = []
    while story:
        _record(tx, current, catalog, story)
        told += story
        current = look_again(tx, task, current, catalog)
        if follows is None or len(told) >= FOLLOW_AT_MOST:
            break
        command = next_of(current, follows, catalog)[0]
        story = (command.event,) if isinstance(command, Record) else ()
    if follows is None or current.state.outcome is None:
        return Told(current, told)
    tx.finish_task(task)
    return Told(None, told)


def _record(tx: Tx, seen: Seen, catalog: Catalog, story: Sequence[events.Event]) -> None:
    author = Author(catalog=catalog.version)
    if isinstance(story[-1], events.RunEnded):
        plan, ended = seen.state.plan, story[-1]
        left = follow_ups(ended, seen.state, seen.incident)
        if plan is not None:
            expect_no_more(tx, plan)
        story = (*story[:-1], *with_follower(ended, plan, seen.incident, catalog), *left)
    incident = record(tx, seen.incident, story, author)
    revert_later(tx, incident, seen.state.plan, story)
    if incident.by_hand and incident.outcome and incident.status == "open":
        record(tx, incident, [events.IncidentResolved()], author)
