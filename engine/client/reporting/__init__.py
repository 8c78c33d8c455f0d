"""What an application imports to tell quell that its model calls fail or are slow.

It stands alone: beside engine.errors only the standard library is imported. How to wire it says
docs/sources/applications.md. The callback handler for LangChain is in `langchain_handler`,
which needs the extra `quell[langchain]`.
"""

from engine.client.reporting.judging import NO_FAILURES, Thresholds
from engine.client.reporting.log_handler import ReportingHandler
from engine.client.reporting.reporter import Reporter
from engine.client.reporting.sender import Endpoint

__all__ = ["NO_FAILURES", "Endpoint", "Reporter", "ReportingHandler", "Thresholds"]
