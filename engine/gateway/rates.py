"""How much each sender may send: a token bucket for each, in a table with a bound."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

# Of callers that nobody knows; what is dropped of more is the one that was silent longest.
MAX_KEPT = 10_000


@dataclass(slots=True)
class Rates:
    """Takes `per_s` a second of each key, and up to `burst` at once."""

    per_s: float
    burst: int
    max_kept: int = MAX_KEPT
    # What was left of each, and when, by the monotonic clock; the longest silent one first.
    _left: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """0.0 where one more is taken; else how long until one would be."""
        left, then_s = self._left.pop(key, (float(self.burst), now_s))
        left = min(self.burst, left + (now_s - then_s) * self.per_s)
        is_taken = left >= 1.0
        self._left[key] = (left - 1.0 if is_taken else left, now_s)
        if len(self._left) > self.max_kept:
            self._left.popitem(last=False)
        return 0.0 if is_taken else (1.0 - left) / self.per_s
