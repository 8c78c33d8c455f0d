"""Model calls that an application logs already, counted on the way."""

import logging

from engine.client.reporting.reporter import Reporter


class ReportingHandler(logging.Handler):
    """Hands what is logged to a Reporter: counts, names and latencies, never a message.

    A record with `extra={"model": ...}` is a model call; `operation`, `deployment`, `latency_s`
    and `error` (an exception class's name) may stand beside it. It failed when it has an exception
    or an `error`, or is of level ERROR or above. Any other record of level `count_from` or above is
    counted by its logger and level.
    """

    def __init__(self, reporter: Reporter, *, count_from: int = logging.ERROR) -> None:
        super().__init__()
        self._reporter = reporter
        self._count_from = count_from

    # typing.override comes with Python 3.12, and nothing else than the standard library is needed.
    def emit(self, record: logging.LogRecord) -> None:  # type: ignore[explicit-override]
        """Count it."""
        own = self._reporter.thread_id
        if own is not None and record.thread == own:
            return  # a complaint about sending would lead to more to send
        raised = record.exc_info[1] if record.exc_info else None
        error: object = raised or getattr(record, "error", "")
        model = getattr(record, "model", "")
        if isinstance(model, str) and model:
            failed = record.levelno >= logging.ERROR
            self._reporter.record(
                model,
                operation=getattr(record, "operation", ""),
                deployment=getattr(record, "deployment", ""),
                error=error or (record.levelname if failed else ""),
                latency_s=getattr(record, "latency_s", None),
            )
        elif record.levelno >= self._count_from:
            self._reporter.record_log(record.name, record.levelname, error=error)
