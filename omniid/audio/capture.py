"""When a running capture ends, and why. Pure: blocks and the time in, a verdict out.

A take ends by itself at its cap, and when the device has gone. PortAudio reports a lost device in four
different ways or not at all; only the time since the last block catches every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from omniid.audio.frames import RATE, SAMPLE_BYTES, Block, duration_s

# A Bluetooth headset needs up to two seconds to change into the mode that has a microphone.
FIRST_BLOCK_S = 3.0
LOST_AFTER_S = 1.0
# What was said before the release and is still on its way: three blocks and the sound server's share.
DRAIN_S = 0.25


class Cause(StrEnum):
    """Why the microphone was closed."""

    RELEASED = "released"
    CANCELLED = "cancelled"
    CAP = "cap"
    DEVICE_LOST = "device_lost"


@dataclass(frozen=True, slots=True)
class NeverStarted:
    """No block came in time: the device is there, and says nothing."""


class Capture:
    """One take's sound as it grows. Times are monotonic seconds, given by the caller."""

    def __init__(self, *, opened_at: float, max_take_s: float) -> None:
        self.pcm = bytearray()
        self.first_sample_at: float | None = None
        self._last_progress_at = opened_at
        self._max_bytes = round(max_take_s * RATE) * SAMPLE_BYTES
        self._asked: tuple[Cause, float] | None = None

    @property
    def duration_s(self) -> float:
        return duration_s(self.pcm)

    def add(self, block: Block, now: float) -> None:
        """Take a block in; what is beyond the cap is not kept."""
        if self.first_sample_at is None:
            self.first_sample_at = block.first_sample_at
        self._last_progress_at = now
        self.pcm += block.pcm[: self._max_bytes - len(self.pcm)]

    def ask(self, cause: Cause, now: float) -> None:
        """The user wants an end. The first word counts, but a cancellation overrules a release."""
        if self._asked is None or cause is Cause.CANCELLED:
            self._asked = (cause, now)

    def verdict(self, now: float, *, is_ahead: bool = False) -> Cause | NeverStarted | None:
        """Why the capture is over; None while it goes on.

        `is_ahead`: the source still has sound that counts as spoken before the release.
        """
        if self._asked is not None and self._asked[0] is Cause.CANCELLED:
            return Cause.CANCELLED
        if len(self.pcm) >= self._max_bytes:
            return Cause.CAP
        if self._asked is not None and not is_ahead and self._has_drained(self._asked[1], now):
            return Cause.RELEASED
        patience = FIRST_BLOCK_S if self.first_sample_at is None else LOST_AFTER_S
        if now - self._last_progress_at > patience:
            return NeverStarted() if self.first_sample_at is None else Cause.DEVICE_LOST
        return None

    def _has_drained(self, released_at: float, now: float) -> bool:
        """Whether every sample that was heard before the release is here."""
        if self.first_sample_at is None or now - released_at >= DRAIN_S:
            return True
        return self.first_sample_at + self.duration_s >= released_at
