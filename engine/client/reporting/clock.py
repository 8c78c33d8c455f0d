"""The machine's two clocks: in an application nobody hands one in."""

import time
from datetime import UTC, datetime

from engine.client.reporting.judging import Moment


def moment() -> Moment:
    """Now."""
    return Moment(time.monotonic(), datetime.now(UTC))  # noqa: TID251 - an application's clock
