"""The last entry of a run says whether anything can have changed."""

import pytest

from engine.core import events
from engine.core.run_commands import end
from tests.doubles.runs import Drive, a_playbook


@pytest.mark.parametrize("begun", [True, False])
def test_an_end_tells_whether_anything_was_changed(begun: bool) -> None:
    drive = Drive(a_playbook())
    intent = drive.intend(drive.to_first_attempt())
    drive.end(intent, "failed", begun=begun)
    ended = end(drive.state, "failed", "why", by_guard="lock", keeps_locks=True).event
    assert isinstance(ended, events.RunEnded)
    assert (ended.run_id, ended.outcome, ended.reason) == ("run", "failed", "why")
    assert (ended.changed, ended.by_guard, ended.keeps_locks) == (begun, "lock", True)
