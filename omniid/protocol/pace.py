"""How fast commands may go out: a bucket that holds a minute's worth and refills evenly."""

from __future__ import annotations

import math
from fractions import Fraction


class Pace:
    """At most `per_minute` at once, and as many again in each minute; None or 0 is no limit.

    In any `s` seconds no more than `per_minute * (1 + s / 60)` are taken, less what was given back in them.
    Times are monotonic seconds; one that goes back counts as standing still. The sums are exact: with floats,
    who waits until `ready_at` could find a bucket that is a hair short of one, for ever.
    """

    def __init__(self, per_minute: int | None) -> None:
        if per_minute is not None and per_minute < 0:
            raise ValueError("a pace below nothing")
        self._capacity = per_minute or 0
        self._per_second = Fraction(self._capacity, 60)
        self._held = Fraction(self._capacity)
        self._filled_at: Fraction | None = None

    def take(self, now: float, wanted: int = 1) -> int:
        """How many may go now, at most `wanted`; they are taken."""
        if not self._capacity:
            return max(wanted, 0)
        self._refill(now)
        taken = min(max(wanted, 0), math.floor(self._held))
        self._held -= taken
        return taken

    def give_back(self, count: int) -> None:
        """Return what was taken and did not go."""
        self._held = min(self._held + max(count, 0), Fraction(self._capacity))

    def ready_at(self, now: float) -> float:
        """When at least one may go: `now`, or later."""
        if not self._capacity:
            return now
        filled_at = self._refill(now)
        if self._held >= 1:
            return now
        exactly = filled_at + (1 - self._held) / self._per_second
        ready = float(exactly)
        return ready if ready >= exactly else math.nextafter(ready, math.inf)

    def _refill(self, now: float) -> Fraction:
        """Fill in what has come since the last time; returns the time up to which it is filled."""
        before = self._filled_at
        at = Fraction(now) if before is None else max(Fraction(now), before)
        if before is not None:
            self._held = min(self._held + (at - before) * self._per_second, Fraction(self._capacity))
        self._filled_at = at
        return at
