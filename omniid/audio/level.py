"""How loud sound is. Pure; cheap enough for every block of every take, without numpy."""

from __future__ import annotations

import math
import sys
from array import array

from omniid.audio.frames import RATE, SAMPLE_BYTES

FLOOR_DB = -96.0
FULL_SCALE = 32_768
REPORT_SAMPLES = RATE // 10


def peak_db(peak: int) -> float:
    """A largest sample, 0 to 32768, in dB below full scale: -96 to 0."""
    return max(FLOOR_DB, 20 * math.log10(peak / FULL_SCALE)) if peak else FLOOR_DB


def peak_of(pcm: bytes) -> int:
    """The largest sample of 16-bit sound, whatever its sign."""
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples)) if samples else 0


class LevelMeter:
    """Gives a level for each tenth of a second of sound."""

    def __init__(self) -> None:
        self._peak = 0
        self._samples = 0

    def add(self, pcm: bytes) -> float | None:
        """The peak in dB since the last one, when it is time for one."""
        self._peak = max(self._peak, peak_of(pcm))
        self._samples += len(pcm) // SAMPLE_BYTES
        if self._samples < REPORT_SAMPLES:
            return None
        level = peak_db(self._peak)
        self._peak = self._samples = 0
        return level
