"""How well and how fast omniid recognises real people, beside stock faster-whisper on the same model.

    python benchmarks/recognition.py [--model NAME_OR_FOLDER] [--repeat N]

Needs Debian's pocketsphinx-testdata and `pip install 'omniid[model]' jiwer`. The two take turns on each
recording; times are medians. Words are compared in lower case without punctuation, numbers as words.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import faster_whisper
import jiwer
import numpy as np
from rich.console import Console
from rich.table import Table

from omniid.recognition import models
from omniid.recognition.whisper import WhisperRecognizer
from omniid.workers.channel import ConfigureEar, TakeRecognised
from omniid.workers.hearing import hear

DATA = Path("/usr/share/pocketsphinx/test/data")
RATE = 16_000
SMALL_NUMBERS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    "twenty",
]
# Raw recordings whose words are known: the one grammar of the first allows, the name of the second spells.
KNOWN_RAW = {"goforward.raw": "go forward ten meters", "tidigits/dhd.2934z.raw": "two nine three four zero"}
WITHOUT_REFERENCE = ("numbers.raw", "something.raw")


@dataclass
class Contender:
    """One recogniser: what it makes of a sound, and what it has made so far."""

    name: str
    load_s: float
    recognise: Callable[[bytes], str]
    texts: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def run(self, pcm: bytes, repeat: int) -> str:
        """Recognise so often; the text of the last time, the median of the times."""
        times, text = [], ""
        for _ in range(repeat):
            began = time.perf_counter()
            text = self.recognise(pcm)
            times.append(time.perf_counter() - began)
        self.texts.append(text)
        self.seconds.append(statistics.median(times))
        return text


@dataclass(frozen=True)
class Recording:
    name: str
    pcm: bytes
    reference: str

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / RATE


def recordings() -> list[Recording]:
    """Every recording whose words are known."""
    found = []
    for folder, transcription in (("cards", "cards.transcription"), ("librivox", "transcription")):
        for line in (DATA / folder / transcription).read_text().splitlines():
            match = re.fullmatch(r"<s>\s*(.*?)\s*</s>\s*\((\S+)\)\s*", line)
            if match:
                found.append(Recording(match[2][-8:], wav(DATA / folder / f"{match[2]}.wav"), match[1]))
    for name, words in KNOWN_RAW.items():
        found.append(Recording(Path(name).stem, (DATA / name).read_bytes(), words))
    return found


def wav(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return bytes(file.readframes(file.getnframes()))


def not_speech() -> dict[str, bytes]:
    """Three seconds each of what a microphone hears when nobody speaks."""
    dice, moments = np.random.default_rng(1), np.arange(3 * RATE) / RATE
    keys = np.zeros(moments.size)
    for start in range(1_000, moments.size - 400, 2_000):
        keys[start : start + 300] += dice.normal(0, 0.5, 300) * np.exp(-np.arange(300) / 60)
    sounds = {
        "silence": np.zeros(moments.size),
        "faint noise": dice.normal(0, 0.005, moments.size),
        "loud noise": dice.normal(0, 0.3, moments.size),
        "keyboard": keys,
        "mains hum": 0.3 * np.sin(2 * np.pi * 50 * moments) + 0.1 * np.sin(2 * np.pi * 150 * moments),
    }
    return {name: (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes() for name, sound in sounds.items()}


def plain(text: str) -> str:
    """As the references are written: lower case words, no punctuation, numbers as words."""
    text = re.sub(r"\bmr\b\.?", "mister", text.lower())
    text = re.sub(r"\d+", lambda match: f" {spelled(match[0])} ", text)
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


def spelled(digits: str) -> str:
    """Small numbers by their name, long ones digit by digit."""
    if int(digits) < len(SMALL_NUMBERS) and not digits.startswith("0"):
        return SMALL_NUMBERS[int(digits)]
    return " ".join(SMALL_NUMBERS[int(digit)] for digit in digits)


def omniid(choice: models.ModelChoice) -> Contender:
    """What the ear does with a take: voice detector, recogniser, judgement."""
    recognizer = WhisperRecognizer(choice, device="auto", compute_type="auto")
    config = ConfigureEar(None, None, 1.0, 300, 60.0, choice.name, "auto", "auto", None, [], 0.2)

    def recognise(pcm: bytes) -> str:
        heard = hear("", pcm, recognizer, config, model_load_s=0.0, is_cancelled=lambda: False)
        return heard.text if isinstance(heard, TakeRecognised) else ""

    return Contender("omniid", recognizer.load_s, recognise)


def stock(choice: models.ModelChoice) -> Contender:
    """faster-whisper as its own documentation shows it, with every default."""
    began = time.perf_counter()
    model: Any = faster_whisper.WhisperModel(str(choice.path))
    load_s = time.perf_counter() - began

    def recognise(pcm: bytes) -> str:
        segments, _ = model.transcribe(np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768)
        return "".join(segment.text for segment in segments).strip()

    return Contender("faster-whisper", load_s, recognise)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=models.AUTO, help="a name, a folder, or auto (default)")
    parser.add_argument(
        "--repeat", type=int, default=3, help="times each recording is recognised (default 3)"
    )
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is missing: sudo apt install pocketsphinx-testdata")
    choice = models.find(arguments.model)
    ours, peer = contenders = [omniid(choice), stock(choice)]
    told = recordings()
    for contender in contenders:  # the first time is slower for both
        contender.recognise(told[0].pcm)

    console = Console(width=150)
    table = Table(title=f"Model {choice.name} ({choice.origin}), {os.cpu_count()} CPUs")
    for column in ("recording", "length", "omniid WER", "s", "stock WER", "s", "omniid heard"):
        table.add_column(column, justify="left" if column in {"recording", "omniid heard"} else "right")
    for recording in told:
        cells = [recording.name, f"{recording.seconds:.1f} s"]
        for contender in contenders:
            text = contender.run(recording.pcm, arguments.repeat)
            rate = jiwer.wer(recording.reference, plain(text))
            cells += [f"{rate:.0%}", f"{contender.seconds[-1]:.2f}"]
        table.add_row(*cells, ours.texts[-1])
    console.print(table)

    length = sum(recording.seconds for recording in told)
    references = [recording.reference for recording in told]
    for contender in contenders:
        rate = jiwer.wer(references, [plain(text) for text in contender.texts])
        total = sum(contender.seconds)
        console.print(
            f"{contender.name:>15}: WER {rate:.1%} over {len(told)} recordings, median take "
            f"{statistics.median(contender.seconds):.2f} s, real-time factor {total / length:.2f}, "
            f"loaded in {contender.load_s:.2f} s"
        )
    console.print("(omniid loads first, from a colder disk cache, and loads a voice detector too.)")
    console.print(f"Without a known transcription, left out: {', '.join(WITHOUT_REFERENCE)}\n")

    invented = Table(title="Words invented where nobody spoke")
    for column in ("sound", ours.name, peer.name):
        invented.add_column(column)
    for name, pcm in not_speech().items():
        invented.add_row(name, *(repr(contender.recognise(pcm)) for contender in contenders))
    console.print(invented)


if __name__ == "__main__":
    main()
