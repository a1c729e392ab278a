"""Which voice engine goes by which name."""

from __future__ import annotations

from omniid.errors import SpeechError
from omniid.speech.pyttsx3_voice import Pyttsx3Voice
from omniid.speech.synthesizer import Sound, Synthesizer


class NoVoice:
    """A `Synthesizer` for an engine that is not there: it says so at each text."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def prepare(self) -> None:
        """Nothing can be loaded."""

    def synthesize(self, text: str) -> Sound:
        raise SpeechError(
            f"The voice engine {self._engine!r} of speech.engine is not available; {len(text)} characters "
            "were not spoken. Set it to pyttsx3.",
            code="no_voice_engine",
        )

    def close(self) -> None:
        """Nothing is kept."""


def make_voice(engine: str, *, voice: str | None, rate: int, volume: float) -> Synthesizer:
    return Pyttsx3Voice(voice, rate=rate, volume=volume) if engine == "pyttsx3" else NoVoice(engine)
