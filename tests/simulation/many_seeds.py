"""Many seeds: what happened in them, which failed, and how to see a failing one again.

`python -m tests.simulation.many_seeds --seeds 10000` plays many; with `--first 42 --seeds 1
--history` it shows one.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from engine.core import events
from tests.simulation.inline_store import (
    CRASH,
    CRASH_AFTER,
    CRASH_BEFORE,
    FENCED,
    LOST_COMMIT,
    TRANSIENT,
)
from tests.simulation.invariants import DECIDED_AHEAD
from tests.simulation.outside import (
    LATE_EFFECT,
    LOST_ACK,
    LOST_BATCH,
    LOST_REPLY,
    REDELIVERED,
    STREAM_AWAY,
)
from tests.simulation.people import CHAT_AWAY, LOST_TICKET, TRACKER_AWAY
from tests.simulation.scenario import Played, play
from tests.simulation.scenes import SCENES
from tests.simulation.scheduler import CLOCK_JUMPS
from tests.simulation.secrets import IN_ALERT, IN_ERROR, IN_RESULT, IN_STATE
from tests.simulation.sizes import HUGE, POISON
from tests.simulation.source import FORGED, SILENT

# Over this many each kind of fault must have happened.
ENOUGH_SEEDS = 500
FAULTS = (
    CRASH,
    CRASH_BEFORE,
    CRASH_AFTER,
    TRANSIENT,
    LOST_COMMIT,
    FENCED,
    "freeze",
    "time passes at once",
    STREAM_AWAY,
    LOST_ACK,
    LOST_BATCH,
    REDELIVERED,
    LATE_EFFECT,
    LOST_REPLY,
    "alert by both of a pair",
    "alert sent again",
    "person: approve",
    "person: reject",
    "person: cancel",
    "person: stop",
    "person: run",
    "person: release",
    "person: answer",
    "person: roll back",
    "person: keep",
    "person: lift",
    "person: confirm",
    "person: try",
    *(f"scene: {scene.name}" for scene in SCENES),
    SILENT,
    CHAT_AWAY,
    TRACKER_AWAY,
    LOST_TICKET,
    FORGED,
    CLOCK_JUMPS,
    IN_RESULT,
    IN_ERROR,
    IN_STATE,
    IN_ALERT,
    HUGE,
    POISON,
    DECIDED_AHEAD,
)
# What a history holds; each was cut off right before and right after its commit.
CRASHED = tuple(
    event.KIND
    for event in (
        events.IncidentOpened,
        events.OccurrenceJoined,
        events.OccurrenceEnded,
        events.IncidentResolved,
        events.IncidentReopened,
        events.IncidentClosed,
        events.RunCreated,
        events.StepObserved,
        events.RunPlanned,
        events.StillFiringAsked,
        events.RunHeldBack,
        events.ApprovalRequested,
        events.ApprovalDecided,
        events.AlertsExpected,
        events.AttemptIntended,
        events.AttemptEnded,
        events.AttemptProbed,
        events.StepSkipped,
        events.StepWaiting,
        events.QuestionAsked,
        events.QuestionAnswered,
        events.StormBraked,
        events.BrakeLifted,
        events.BreakerTried,
        events.DeadlinePassed,
        events.ModesAccepted,
        events.VerificationStarted,
        events.VerificationEnded,
        events.RunCancelled,
        events.RunEnded,
        events.MessageSent,
        events.PostmortemWritten,
        events.TicketOpened,
        events.StopOrdered,
        events.StopLifted,
        events.LockReleased,
        events.CheckpointSigned,
    )
)


def reproduce(seed: int) -> str:
    """The command that shows a seed's history again."""
    return f"python -m tests.simulation.many_seeds --first {seed} --seeds 1 --history"


@dataclass
class Tally:
    """What happened over many seeds; a kind of fault that never did was not survived."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Played] = field(default_factory=list)

    def add(self, played: Played) -> None:
        """Count one more."""
        self.counts.update(played.faults)
        self.counts.update(played.kinds)
        self.counts.update({f"{kind} x {fate}": n for (kind, fate), n in played.crashed.items()})
        if played.violations:
            self.failed.append(played)

    @property
    def never(self) -> list[str]:
        """What should have happened and did not."""
        crashes = [f"{kind} x {fate}" for kind in CRASHED for fate in (CRASH_BEFORE, CRASH_AFTER)]
        return [name for name in (*FAULTS, *crashes) if not self.counts[name]]

    def lines(self) -> Iterator[str]:
        """For people."""
        for name, count in sorted(self.counts.items()):
            yield f"{count:8d} {name}"
        for played in self.failed[:3]:
            yield from ("", *played.history, *played.violations)
        for played in self.failed:
            yield f"seed {played.seed} fails, see it again: {reproduce(played.seed)}"


def play_all(seeds: Iterable[int]) -> Tally:
    """Play each."""
    tally = Tally()
    for seed in seeds:
        tally.add(play(seed))
    return tally


def main() -> int:
    """Play seeds and print what happened; 1 where one fails."""
    parser = argparse.ArgumentParser(description="Play simulated histories, one a seed.")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--history", action="store_true", help="print what happened in each")
    asked = parser.parse_args()
    tally = Tally()
    seeds = range(asked.first, asked.first + asked.seeds)
    # A process a core: histories know nothing of each other.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as cores:
        for played in cores.map(play, seeds, chunksize=20):
            tally.add(played)
            if asked.history and not played.violations:
                sys.stdout.write("\n".join((*played.history, "")))
    never = tally.never if asked.seeds >= ENOUGH_SEEDS else []
    sys.stdout.write("\n".join((*tally.lines(), *(f"never happened: {name}" for name in never))))
    sys.stdout.write(f"\n{asked.seeds} seeds, {len(tally.failed)} failed\n")
    return 1 if tally.failed or never else 0


if __name__ == "__main__":
    sys.exit(main())
