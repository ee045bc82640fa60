"""How much one caller may ask: a bucket that fills steadily and holds two seconds' worth."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

BURST_SECONDS = 2.0
MOST_CALLERS = 10_000
"""Callers that are remembered; the one not seen for longest is forgotten first."""


class RateLimit:
    """Requests per second of each caller.

    Parameters
    ----------
    per_second
        Requests that a caller may make in the long run.
    clock
        Seconds, rising.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(per_second * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, caller: str) -> float:
        """Take one request from the caller's bucket: 0, or how long until there is one."""
        now = self._clock()
        left, at = self._buckets.pop(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_second)
        taken = left >= 1
        self._buckets[caller] = (left - 1 if taken else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._per_second
