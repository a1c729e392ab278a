"""How loud sound is. Pure; cheap enough for every block of every take, without numpy."""

from __future__ import annotations

import math
import sys
from array import array

FLOOR_DB = -96.0
FULL_SCALE = 32_768
REPORT_S = 0.1


def peak_db(peak: int) -> float:
    """A largest sample, 0 to 32768, in dB below full scale: -96 to 0."""
    return max(FLOOR_DB, 20 * math.log10(peak / FULL_SCALE)) if peak else FLOOR_DB


def peak_of(pcm: bytes) -> int:
    """The largest sample of 16-bit sound, whatever its sign."""
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    if not samples:
        return 0
    highest, lowest = max(samples), min(samples)
    return max(highest, -lowest)


class LevelMeter:
    """Gives a level ten times a second. Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._peak = 0
        self._last_at: float | None = None

    def add(self, pcm: bytes, now: float) -> float | None:
        """The peak in dB since the last one, when it is time for one."""
        self._peak = max(self._peak, peak_of(pcm))
        if self._last_at is None:
            self._last_at = now
        if now - self._last_at < REPORT_S:
            return None
        level, self._peak, self._last_at = peak_db(self._peak), 0, now
        return level
