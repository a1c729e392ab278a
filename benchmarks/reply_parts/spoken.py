"""How much of ten replies full of markup is understood by who hears them out of the virtual speaker.

Each engine speaks out of a mouth and into a speaker of its own, both at once. A reply's recording is
recognised by the small English model and compared with what was meant to be heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.table import Table
from support.mouth import mouth
from support.pulse import PulseServer
from support.spoken_replies import REPLIES, Recogniser, word_error_rate

from benchmarks.reply_parts.house import ENGINES
from omniid.speech.speakable import speakable
from omniid.workers.channel import SpeechFinished

_SHOWN_CHARS = 70


def measure(pulse: PulseServer, count: int) -> Table:
    replies = REPLIES[:count]
    for engine in ENGINES:
        pulse.add_sink(engine)
    pulse.keep_warm(*ENGINES)
    with ThreadPoolExecutor(len(ENGINES)) as stages:
        recordings = dict(
            zip(ENGINES, stages.map(lambda engine: _speak(pulse, engine, replies), ENGINES), strict=True)
        )
    recogniser = Recogniser()
    heard = {engine: [recogniser.hear(path) for path in paths] for engine, paths in recordings.items()}
    return _table(replies, heard)


def _speak(pulse: PulseServer, engine: str, replies: Sequence[str]) -> list[Path]:
    recordings = []
    with mouth(pulse.env, engine=engine, output_device=engine) as child:
        for number, reply in enumerate(replies):
            with pulse.record(f"{engine}.monitor") as path:
                child.say(str(number), reply)
                child.started(str(number))
                assert child.receive() == SpeechFinished(str(number), "spoken")
            recordings.append(path)
    return recordings


def _table(replies: Sequence[str], heard: Mapping[str, Sequence[str]]) -> Table:
    table = Table(
        *("meant to be heard", *ENGINES),
        title=f"Word error rate of {len(replies)} replies, out of the speaker and into tiny.en",
    )
    said = [" ".join(speakable(reply, "en")) for reply in replies]
    for number, words in enumerate(said):
        rates = [f"{word_error_rate(words, heard[engine][number]):.2f}" for engine in ENGINES]
        shown = words if len(words) <= _SHOWN_CHARS else f"{words[: _SHOWN_CHARS - 1]}…"
        table.add_row(shown, *rates)
    table.add_section()
    everything = " ".join(said)
    rates = [f"{word_error_rate(everything, ' '.join(heard[engine])):.3f}" for engine in ENGINES]
    table.add_row("all", *rates)
    return table
