"""The one form sound has inside omniid: 16 kHz mono, signed 16-bit little endian, in blocks of 20 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

RATE = 16_000
SAMPLE_BYTES = 2
BLOCK_SAMPLES = 320
BLOCK_BYTES = BLOCK_SAMPLES * SAMPLE_BYTES
BLOCK_S = BLOCK_SAMPLES / RATE
SILENT_BLOCK = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of sound. `first_sample_at`: the monotonic time, in seconds, its first sample was heard at."""

    pcm: bytes
    first_sample_at: float


class Source(Protocol):
    """Where a take's sound comes from: a microphone, or a file that stands in for one."""

    @property
    def device(self) -> str:
        """What people call it."""

    @property
    def is_real(self) -> bool:
        """Whether a take of nothing but zeros means that a microphone is muted or dead."""

    @property
    def overflows(self) -> int:
        """How often sound was lost because nobody took it in time."""

    @property
    def is_muted(self) -> bool:
        """Whether the sound system says that the microphone is muted, as far as it says so."""

    @property
    def is_stuck(self) -> bool:
        """Whether the sound system has not yet come back from opening it."""

    @property
    def file_ended(self) -> bool:
        """The sound file has been read to its end. A microphone never ends."""

    @property
    def is_ahead(self) -> bool:
        """There is sound left that counts as spoken before now, however long it takes to read."""

    def open(self) -> None:
        """Start to give sound. Returns at once; what goes wrong is raised by `read`."""

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None when none came in time.

        Raises:
            AudioError: the source cannot be opened or read.
        """

    def close(self, timeout_s: float) -> bool:
        """Give no more sound. False when the system did not let go of the device in time."""


def duration_s(pcm: bytes | bytearray) -> float:
    return len(pcm) / SAMPLE_BYTES / RATE


def is_all_zero(pcm: bytes | bytearray) -> bool:
    """True for a muted or dead microphone; a live one always has some noise."""
    return pcm.count(0) == len(pcm)
