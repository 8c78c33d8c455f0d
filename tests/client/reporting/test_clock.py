"""The two clocks of a moment are what they say."""

import time
from datetime import UTC, datetime, timedelta

from engine.client.reporting.clock import moment


def test_a_moment_is_now_by_both_clocks() -> None:
    before_s, before = time.monotonic(), datetime.now(UTC)
    now = moment()
    assert before_s <= now.monotonic_s <= time.monotonic()
    assert timedelta() <= now.wall - before < timedelta(seconds=5)
    assert now.wall.utcoffset() == timedelta()
