"""When a running capture ends, and why. Pure: blocks, the detector's word and the time in, a verdict out.

A take ends when the user wants it to (and has finished the word), at silence where no key is held, at its
cap, and when the device has gone. PortAudio reports a lost device in four different ways or not at all;
only the time since the last block catches every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from omniid.audio.frames import RATE, SAMPLE_BYTES, Block, duration_s

# A Bluetooth headset needs up to two seconds to change into the mode that has a microphone.
FIRST_BLOCK_S = 2.5
LOST_AFTER_S = 1.0
# What was said before the release and is still on its way: three blocks and the sound server's share.
DRAIN_S = 0.25
# Fingers are faster than tongues: so long after the release the last word may still be spoken.
TAIL_S = 0.4
UNKNOWN_TAIL_S = 0.2  # without a voice detector to say whether somebody speaks
NOBODY_SPOKE_S = 8.0


class Cause(StrEnum):
    """Why the microphone was closed."""

    RELEASED = "released"
    SILENCE = "silence"
    CANCELLED = "cancelled"
    CAP = "cap"
    DEVICE_LOST = "device_lost"


@dataclass(frozen=True, slots=True)
class NeverStarted:
    """No block came in time: the device is there, and says nothing."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What a voice detector has found so far. `silence_s`: since the last speech, in the take's own time."""

    is_speaking: bool
    has_spoken: bool
    silence_s: float


QUIET = Voice(is_speaking=False, has_spoken=False, silence_s=0.0)


class Capture:
    """One take's sound as it grows. Times are monotonic seconds, given by the caller."""

    def __init__(
        self,
        *,
        opened_at: float,
        max_take_s: float,
        end_silence_s: float = 1.2,
        ends_by_silence: bool = False,
    ) -> None:
        self.pcm = bytearray()
        self.first_sample_at: float | None = None
        self._last_progress_at = opened_at
        self._max_bytes = round(max_take_s * RATE) * SAMPLE_BYTES
        self._end_silence_s = end_silence_s
        self._latched_at_s: float | None = 0.0 if ends_by_silence else None
        self._asked: tuple[Cause, float] | None = None

    @property
    def duration_s(self) -> float:
        return duration_s(self.pcm)

    def add(self, block: Block, now: float) -> bytes:
        """Take a block in; returns what is kept of it: nothing beyond the cap."""
        if self.first_sample_at is None:
            self.first_sample_at = block.first_sample_at
        self._last_progress_at = now
        kept = block.pcm[: self._max_bytes - len(self.pcm)]
        self.pcm += kept
        return kept

    def ask(self, cause: Cause, now: float) -> None:
        """The user wants an end. The first word counts, but a cancellation overrules a release."""
        if self._asked is None or cause is Cause.CANCELLED:
            self._asked = (cause, now)

    def latch(self) -> None:
        """No key is held any more: from now on silence ends the take."""
        if self._latched_at_s is None:
            self._latched_at_s = self.duration_s

    def verdict(
        self, now: float, voice: Voice | None = None, *, is_ahead: bool = False
    ) -> Cause | NeverStarted | None:
        """Why the capture is over; None while it goes on.

        `voice`: None while no detector is there to ask. `is_ahead`: the source still has sound that counts
        as spoken before the release.
        """
        if self._asked is not None and self._asked[0] is Cause.CANCELLED:
            return Cause.CANCELLED
        if len(self.pcm) >= self._max_bytes:
            return Cause.CAP
        if not is_ahead:
            if self._asked is not None and self._is_all_said(self._asked[1], now, voice):
                return Cause.RELEASED
            if voice is not None and self._is_silent_for_long(voice):
                return Cause.SILENCE
        patience = FIRST_BLOCK_S if self.first_sample_at is None else LOST_AFTER_S
        if now - self._last_progress_at > patience:
            return NeverStarted() if self.first_sample_at is None else Cause.DEVICE_LOST
        return None

    def _is_all_said(self, released_at: float, now: float, voice: Voice | None) -> bool:
        """Whether every sample is here that was heard before the release, and the last word after it."""
        if self.first_sample_at is None:
            return True
        if voice is None:
            until = released_at + UNKNOWN_TAIL_S
        else:
            until = released_at + (TAIL_S if voice.is_speaking else 0.0)
        return now >= until + DRAIN_S or self.first_sample_at + self.duration_s >= until

    def _is_silent_for_long(self, voice: Voice) -> bool:
        if self._latched_at_s is None:
            return False
        if voice.has_spoken:
            return voice.silence_s >= self._end_silence_s
        return self.duration_s - self._latched_at_s >= NOBODY_SPOKE_S
