"""What is promised of an incident in tests."""

from datetime import timedelta

from engine.core.severity import Severity
from engine.core.sla import CLOCKS, Sla


def a_promise(minutes: int) -> Sla:
    """Everything of a P1 within so many minutes; nothing of any other."""
    return Sla({Severity.P1: dict.fromkeys(CLOCKS, timedelta(minutes=minutes))})
