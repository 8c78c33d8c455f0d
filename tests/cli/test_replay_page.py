"""What a replay found, in words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.cli.replay_page import closing_model, pages, runs, tell
from engine.core.replayed import Changed, Closing, ReplayedRun, ReplayedWaiting, RuleDifference
from tests.core.test_replayed import incident, replayed

MODEL = Closing(after=timedelta(minutes=10), then=timedelta(hours=1))


def test_the_closing_model_says_when_alerts_and_time_end() -> None:
    assert closing_model(Closing()) == (
        "an alert ends when its source says so or its own expiry passes; time ends with the last "
        "alert, and what fires then stays open"
    )
    assert "or 10m after its last notice; time ends 1h after the last alert" in closing_model(MODEL)


def test_what_waits_and_what_failed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = replace(
        replayed(incident(absorbed_by="INC-2"), incident(status="open", ended_at=None)),
        waiting=(ReplayedWaiting("slow", "for", 3),),
        unmatched={f"Odd{n}": 1 for n in range(21)},
        failures=("rule x: when: no",),
    )
    tell(found, Closing())
    told = capsys.readouterr()
    assert "in INC-2" in told.out
    assert "3 wait for rule slow: for (--then lets time go on)" in told.out
    assert "Odd19 (1) and 1 more names" in told.out
    assert "an expression failed: rule x: when: no" in told.err


def test_pages_and_runs_are_what_was_gained_less_what_was_lost() -> None:
    observed = ReplayedRun("restart", "observe", "rule down")
    broken = replace(observed, mode="approve", problem="no host")
    each = RuleDifference(
        "down",
        before=3,
        after=3,
        lost=[incident()],
        gained=[incident(run=observed), incident(run=broken)],
        changed=[Changed(incident(), incident(severity="P3"))],
    )
    assert (pages(each), runs(each)) == (0, -1)
