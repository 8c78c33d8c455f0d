"""What this process writes for people to read, without secrets: its logs, and its two streams.

Whatever isn't a structured log ends in the streams, whoever wrote it: the answers of verbs and
their complaints, what libraries log, warnings, traces of what nobody caught, in threads too.
"""

import contextlib
import io
import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger
from typing_extensions import override

from engine.core.bounds import cut
from engine.ports.known_secrets import KNOWN

# Characters of one value of a line; a traceback is one.
MAX_LOGGED = 16_000


class MaskedStream(io.TextIOWrapper):
    """A stream that passes on text without secrets; bytes go past it, by its `buffer`."""

    @override
    def write(self, text: str, /) -> int:
        super().write(KNOWN.mask(text))
        return len(text)


def mask_streams() -> None:
    """Mask standard output and standard error from here on."""
    sys.stdout, sys.stderr = _masked_stream(sys.stdout), _masked_stream(sys.stderr)


def _masked_stream(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # closed from the beginning, or a test's
    return MaskedStream(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Unfailing:
    """A log's file whose full disk, or gone reader, is nobody's error: the line is lost."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()


def configure_logs(file: TextIO | None = None) -> None:
    """Structured logs, one JSON object a line, on `file`; None is standard error."""
    # It tells of each failed connection in lines of its own, hundreds in an outage; quell says
    # once what is away, and when it is back.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Frames and lines, never the values of variables.
            structlog.processors.format_exc_info,
            _within_a_line,
            structlog.processors.JSONRenderer(),
            _mask_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(
            file=cast(TextIO, _Unfailing(file or sys.stderr))
        ),
        cache_logger_on_first_use=True,
    )


def _within_a_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Texts from outside may be of any length, and a log has to stay readable."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = cut(value, MAX_LOGGED)
    return event


def _mask_line(_logger: WrappedLogger, _method: str, line: EventDict | str) -> str:
    return KNOWN.mask(str(line))
