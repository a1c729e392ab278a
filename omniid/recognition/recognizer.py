"""What a recogniser is to the rest of omniid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was said. `confidence` is the mean token probability, 0 to 1; `text` may be empty."""

    text: str
    confidence: float
    language: str


NOTHING = Recognition(text="", confidence=0.0, language="")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the recogniser should know beforehand. `language` None: find out."""

    language: str | None = None
    vocabulary: tuple[str, ...] = ()


class Recognizer(Protocol):
    """Sound is 16 kHz mono int16, little endian."""

    @property
    def model_name(self) -> str: ...

    @property
    def load_s(self) -> float:
        """How long the model took to load, in seconds."""

    def speech_probabilities(self, pcm: bytes) -> list[float]:
        """For each 512 samples, the last of them partial, how likely it is that somebody speaks: 0 to 1."""

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        """The words in a sound that has speech in it.

        Raises:
            RecognitionError: the recogniser failed.
        """
