"""The short sounds that say what omniid does. Pure: samples from a table.

They are quiet and have no speech in them, since the microphone may hear them; the one that says "I listen"
is over before anybody has begun to speak.
"""

from __future__ import annotations

import math
import sys
from array import array
from dataclasses import dataclass
from functools import cache

RATE = 24_000
FADE_S = 0.008  # an edge would be heard as a click


@dataclass(frozen=True, slots=True)
class Tone:
    """`volume` is a share of full scale. 0 Hz is a pause."""

    hz: float
    length_s: float
    volume: float = 0.1


# Upwards: it begins. Downwards: it is over. Low: there is nothing, or something is wrong.
CUES: dict[str, tuple[Tone, ...]] = {
    "listening": (Tone(660, 0.035), Tone(990, 0.04)),
    "done": (Tone(990, 0.035), Tone(660, 0.04)),
    "nothing_heard": (Tone(330, 0.075),),
    "error": (Tone(220, 0.07, 0.15), Tone(0, 0.04), Tone(220, 0.07, 0.15)),
    "question": (Tone(520, 0.05), Tone(780, 0.06)),
    "waiting": (Tone(520, 0.03), Tone(0, 0.03), Tone(520, 0.03)),
}


@cache
def samples(cue: str) -> bytes:
    """A cue as 16-bit mono little-endian sound at 24 kHz. KeyError when there is no such cue."""
    sound = array("h")
    for tone in CUES[cue]:
        sound.extend(_samples(tone))
    if sys.byteorder == "big":
        sound.byteswap()
    return sound.tobytes()


def _samples(tone: Tone) -> list[int]:
    count, fade = round(tone.length_s * RATE), round(FADE_S * RATE)

    def sample(index: int) -> int:
        edge = min(1.0, index / fade, (count - 1 - index) / fade)
        swell = (1 - math.cos(math.pi * edge)) / 2
        return round(32_767 * tone.volume * swell * math.sin(2 * math.pi * tone.hz * index / RATE))

    return [sample(index) for index in range(count)]
