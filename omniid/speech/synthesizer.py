"""What every voice offers, and the sound it makes."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sound:
    """`samples`: 16-bit signed little-endian mono, `rate` of them a second."""

    rate: int
    samples: bytes

    @property
    def duration_s(self) -> float:
        return len(self.samples) / 2 / self.rate

    def at_volume(self, volume: float) -> Sound:
        """The same sound with its amplitude times `volume`, 0 to 1."""
        if volume >= 1.0:
            return self
        # A table of gains would be faster and unreadable; a second of speech takes about two milliseconds.
        gain = max(volume, 0.0)
        return Sound(
            self.rate, array("h", [int(sample * gain) for sample in array("h", self.samples)]).tobytes()
        )


class Synthesizer(Protocol):
    """Text in, sound out. It never plays anything. All but `close` is called from one thread only."""

    @property
    def language(self) -> str | None:
        """What it speaks, such as "en-gb"; None where nobody knows. Right once it is prepared."""

    def prepare(self) -> None:
        """Load what can be loaded before the first text comes.

        Quick once it has succeeded.

        Raises:
            SpeechError: there is no such engine or voice here; a later call may find it.
        """

    def synthesize(self, text: str) -> Sound:
        """The sound of one sentence.

        Raises:
            SpeechError: there is no such engine or voice here, or it failed.
        """

    def close(self) -> None:
        """Remove what it keeps outside this process. Called from any thread, also in the middle of a text."""
