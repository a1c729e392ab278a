"""`python -m omniid.speech.to_file PATH TEXT`: a text spoken into a WAV by the voice omniid itself has.

A program of its own, because voice engines can hang: its caller sets a deadline.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

from omniid.errors import SpeechError
from omniid.speech.pyttsx3_voice import Pyttsx3Voice

_WORDS_A_MINUTE = 150


def speak_to_file(text: str, path: Path) -> None:
    """Write the spoken text as a WAV.

    Raises:
        SpeechError: there is no voice engine, or it failed.
    """
    sound = Pyttsx3Voice(None, rate=_WORDS_A_MINUTE, volume=1.0).synthesize(text)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sound.rate)
        out.writeframes(sound.samples)


if __name__ == "__main__":
    try:
        speak_to_file(sys.argv[2], Path(sys.argv[1]))
    except SpeechError as error:
        sys.exit(error.message)
