"""Time as a value: the pure parts are given a `Moment` and never read a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks.

    `monotonic` is in seconds and only good for differences; `wall` is an aware datetime in the user's zone.
    """

    monotonic: float
    wall: datetime

    @property
    def unix_ms(self) -> int:
        return int(self.wall.timestamp() * 1000)
