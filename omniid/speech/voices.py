"""Which voice engine goes by which name, and what speaks when it cannot."""

from __future__ import annotations

from omniid.errors import SpeechError
from omniid.speech.piper_voice import PiperVoice
from omniid.speech.pyttsx3_voice import Pyttsx3Voice
from omniid.speech.synthesizer import Sound, Synthesizer
from omniid.speech.wyoming_voice import WyomingVoice

DEFAULT_ENGINE = "pyttsx3"
ENGINES = (DEFAULT_ENGINE, "piper", "wyoming")


class NoVoice:
    """A `Synthesizer` for an engine that is not there: it says so at each text."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    @property
    def language(self) -> str | None:
        return None

    def prepare(self) -> None:
        """Nothing can be loaded."""

    def synthesize(self, text: str) -> Sound:
        raise SpeechError(
            f"There is no voice engine {self._engine!r}; {len(text)} characters were not spoken. "
            f"Set speech.engine to one of {', '.join(ENGINES)}.",
            code="no_voice_engine",
        )

    def close(self) -> None:
        """Nothing is kept."""


def make_voice(engine: str, *, voice: str | None, rate: int, volume: float) -> Synthesizer:
    """For wyoming, `voice` is the server's address, with #name behind it for one of its voices."""
    match engine:
        case "pyttsx3":
            return Pyttsx3Voice(voice, rate=rate, volume=volume)
        case "piper":
            return PiperVoice(voice, rate=rate, volume=volume)
        case "wyoming":
            address, name = split_address(voice)
            return WyomingVoice(address, name, volume=volume)
        case _:
            return NoVoice(engine)


def make_fallback(engine: str, *, rate: int, volume: float) -> Synthesizer | None:
    """The default engine with its default voice, to stand in for another engine that fails."""
    if engine == DEFAULT_ENGINE or engine not in ENGINES:
        return None
    return Pyttsx3Voice(None, rate=rate, volume=volume)


def split_address(voice: str | None) -> tuple[str | None, str | None]:
    """tcp://192.0.2.7:10200#en_US-lessac-medium as address and name."""
    address, _, name = (voice or "").partition("#")
    return address or None, name or None
