"""Every error that quell raises, in one tree.

QuellError
├── ConfigError          a file or setting is wrong; carries findings, shown as they are
├── PayloadError         a body or record from outside can't be understood; carries the field
├── DeniedError          the actor may not do this
├── NotFoundError        no such thing, or the prefix isn't unique
├── ConflictError        it was decided, changed or ended meanwhile
├── FencedError          this writer lost its right to write (lease, position or version)
├── TransientError       try again later; the effect is known not to have happened
│   └── FullError        a bound is reached, and room has to be made; anybody may read what it says
├── PermanentError       trying again won't help; the effect is known not to have happened
│   └── StoppedError     partitions of the stream that can't be read on; carries why, for each
└── OutcomeUnknownError  the effect may or may not have happened

A connector alone decides between the last three: it knows the protocol.
"""

from collections.abc import Mapping, Sequence


class QuellError(Exception):
    """Root of all of quell's own errors; the message says what happened and what to do next."""


class ConfigError(QuellError):
    """A file or a setting is wrong; each finding prints as file:line:column: what."""

    def __init__(self, message: str, findings: Sequence[object] = ()) -> None:
        super().__init__("\n".join([message, *map(str, findings)]) if findings else message)
        self.findings = tuple(findings)


class PayloadError(QuellError):
    """A body or record from outside can't be understood."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.problem = problem
        self.field = field


class DeniedError(QuellError):
    """The actor may not do this."""


class NotFoundError(QuellError):
    """There is no such thing, or the given prefix isn't unique."""


class ConflictError(QuellError):
    """It was decided, changed or ended meanwhile."""


class FencedError(QuellError):
    """This writer lost its right to write: lease, stream position or expected version."""


class TransientError(QuellError):
    """Try again later: the effect is known not to have happened."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class FullError(TransientError):
    """What was to be kept has reached its bound: room has to be made, or a limit raised."""


class PermanentError(QuellError):
    """Trying again won't help: the effect is known not to have happened."""


class StoppedError(PermanentError):
    """These partitions of the stream can't be read on; `reasons` says why, by partition."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__("; ".join(dict.fromkeys(reasons.values())))
        self.reasons = dict(reasons)


class OutcomeUnknownError(QuellError):
    """The effect may or may not have happened; nobody repeats it before it was looked at."""
