"""What happened lately, in a ring of time slots: its size depends on neither traffic nor time."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

SLOTS = 12
# A latency is remembered to within 10 %; 1 ms to 28 h are 193 steps.
_STEP = math.log(1.1)
_SHORTEST_S, _LONGEST_S = 1e-3, 1e5
# Other error classes than the first ones of a slot are counted together.
_MAX_ERRORS = 10
OTHER_ERRORS = "other"


@dataclass(frozen=True, slots=True)
class Counts:
    """The sum over a window. `timed` calls had a latency, and `slow` ones of them a long one.

    `p95_latency_s` is 0 where no call was timed, and else up to 10 % too high.
    """

    calls: int = 0
    failures: int = 0
    timed: int = 0
    slow: int = 0
    p95_latency_s: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Slot:
    number: int
    calls: int = 0
    slow: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)


class Window:
    """The last `length_s` seconds, to within a twelfth; times are of any clock that never jumps."""

    def __init__(self, length_s: float, slow_over_s: float) -> None:
        """A call that took longer than `slow_over_s` is slow."""
        self._slot_s = length_s / SLOTS
        self._slow_over_s = slow_over_s
        self._slots: deque[_Slot] = deque(maxlen=SLOTS)

    def add(self, at_s: float, *, error: str = "", latency_s: float | None = None) -> None:
        """One call, of which `error` says why it failed; the latency of a failed one says nothing.

        A call that is refused at once would make a slow model look quick.
        """
        number = int(at_s // self._slot_s)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        slot = self._slots[-1]
        slot.calls += 1
        if error:
            known = error in slot.errors or len(slot.errors) < _MAX_ERRORS
            slot.errors[error if known else OTHER_ERRORS] += 1
        elif latency_s is not None and latency_s >= 0:
            slot.slow += latency_s > self._slow_over_s
            slot.latencies[_step_of(latency_s)] += 1

    def counts(self, at_s: float) -> Counts:
        """What the window holds at this time; what has left it is forgotten."""
        first = int(at_s // self._slot_s) - SLOTS + 1
        while self._slots and self._slots[0].number < first:
            self._slots.popleft()
        errors: Counter[str] = Counter()
        latencies: Counter[int] = Counter()
        for slot in self._slots:
            errors.update(slot.errors)
            latencies.update(slot.latencies)
        return Counts(
            calls=sum(slot.calls for slot in self._slots),
            failures=errors.total(),
            timed=latencies.total(),
            slow=sum(slot.slow for slot in self._slots),
            p95_latency_s=_p95(latencies),
            errors=errors,
        )


def _step_of(latency_s: float) -> int:
    # min and max keep their first argument where the other is no number.
    within = min(_LONGEST_S, max(_SHORTEST_S, latency_s))
    return math.ceil(math.log(within) / _STEP)


def _p95(latencies: Counter[int]) -> float:
    """The upper end of the step in which the 95th of a hundred lies."""
    rest = math.ceil(latencies.total() * 0.95)
    for step in sorted(latencies):
        rest -= latencies[step]
        if rest <= 0:
            return math.exp(step * _STEP)
    return 0.0
