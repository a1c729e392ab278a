"""From the release of the key to the text, and how much of the text is right, beside stock faster-whisper."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import jiwer
from rich.progress import track
from rich.table import Table

from benchmarks.voice_parts.contenders import Heard, Omniid, Stock
from benchmarks.voice_parts.noises import RATE
from benchmarks.voice_parts.takes import Take, plain
from omniid.audio.segmenter import WINDOW_SAMPLES, Segmenter
from omniid.recognition.detector import VoiceDetector
from omniid.recognition.models import ModelChoice

AT_ONCE_S = 0.06  # behind the last sound of the last word, as the detector sees it
SURENESS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
OURS, OURS_AT_ONCE, OURS_FILE = "omniid, live", "omniid, live, released at the last sound", "omniid, file"
PEER, PEER_INT8 = "faster-whisper", "faster-whisper int8"


def measure(choice: ModelChoice, takes: Sequence[Take]) -> Iterator[Table]:
    omniid, stock, stock_int8 = Omniid(choice), Stock(choice, "default"), Stock(choice, "int8")
    last_words = [_last_sound(take.pcm) for take in takes]
    for contender in (omniid, stock, stock_int8):  # the first time is slower for each
        contender.hear_file(takes[0].pcm)
    heard: dict[str, list[Heard]] = {name: [] for name in (OURS, OURS_AT_ONCE, OURS_FILE, PEER, PEER_INT8)}
    whole: list[str] = []
    for take, end in track(list(zip(takes, last_words, strict=True)), "takes", transient=True):
        heard[OURS].append(omniid.hear_live(take.pcm))
        heard[PEER].append(stock.hear_file(take.pcm))
        heard[OURS_AT_ONCE].append(omniid.hear_live(take.pcm[:end]))
        heard[PEER_INT8].append(stock_int8.hear_file(take.pcm))
        heard[OURS_FILE].append(omniid.hear_file(take.pcm))
        whole.append(omniid.whole_text(take.pcm))
    yield _times(takes, heard)
    yield _errors(takes, heard)
    yield _clipped(heard, whole)
    yield _sureness(takes, heard[OURS_FILE])


def _last_sound(pcm: bytes) -> int:
    """Where a hasty user lets go, in bytes."""
    segmenter, stream = Segmenter(), VoiceDetector().stream()
    segmenter.add([*stream.add(pcm), *stream.end()])
    runs = segmenter.runs
    return min(len(pcm), int(runs[-1].end * WINDOW_SAMPLES + AT_ONCE_S * RATE) * 2) if runs else len(pcm)


def _times(takes: Sequence[Take], heard: dict[str, list[Heard]]) -> Table:
    lengths = [take.seconds for take in takes]
    table = Table(
        title=f"Release to text, {len(takes)} takes of {min(lengths):.1f} to {max(lengths):.1f} s, in ms",
        caption="times faster: than the faster of the two stock ones",
    )
    for column in ("", "p50", "p95", "longest", "known at release", "p50 times faster", "p95 times faster"):
        table.add_column(column, justify="left" if not column else "right")
    spread = {name: _quantiles(found) for name, found in heard.items()}
    peer = [min(spread[PEER][at], spread[PEER_INT8][at]) for at in range(2)]
    for name, found in heard.items():
        foreseen = sum(one.was_foreseen for one in found) / len(found)
        is_ours = name not in {PEER, PEER_INT8}
        times = [f"{peer[at] / spread[name][at]:.1f}" if is_ours else "" for at in range(2)]
        known = f"{foreseen:.0%}" if name in {OURS, OURS_AT_ONCE} else ""
        table.add_row(name, *(f"{value * 1000:.0f}" for value in spread[name]), known, *times)
    return table


def _quantiles(found: Sequence[Heard]) -> tuple[float, float, float]:
    waits = sorted(one.wait_s for one in found)
    return statistics.median(waits), waits[int(0.95 * (len(waits) - 1))], waits[-1]


def _errors(takes: Sequence[Take], heard: dict[str, list[Heard]]) -> Table:
    kinds = sorted({(take.voice, take.noise) for take in takes})
    table = Table(title="Word error rate, %")
    for column in ("", "all", *(f"{voice}\n{noise}" for voice, noise in kinds)):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in heard.items():
        pairs = list(zip(takes, found, strict=True))
        rates = [
            _rate([(take, one) for take, one in pairs if (take.voice, take.noise) == kind]) for kind in kinds
        ]
        table.add_row(name, *(f"{100 * rate:.1f}" for rate in (_rate(pairs), *rates)))
    return table


def _rate(pairs: Sequence[tuple[Take, Heard]]) -> float:
    return float(jiwer.wer([take.words for take, _ in pairs], [plain(one.text) for _, one in pairs]))


def _clipped(heard: dict[str, list[Heard]], whole: Sequence[str]) -> Table:
    """Whether the detector's cut takes words away, judged by the same recogniser on the whole sound."""
    table = Table(title="The first and the last word, beside the same recogniser on the uncut sound")
    for column in ("", "takes", "first word the same", "last word the same", "words missing"):
        table.add_column(column, justify="left" if not column else "right")
    for name in (OURS, OURS_AT_ONCE, OURS_FILE):
        pairs = [
            (plain(one.text).split(), plain(uncut).split())
            for one, uncut in zip(heard[name], whole, strict=True)
        ]
        pairs = [(words, uncut) for words, uncut in pairs if uncut]
        first = sum(words[:1] == uncut[:1] for words, uncut in pairs)
        last = sum(words[-1:] == uncut[-1:] for words, uncut in pairs)
        missing = sum(max(0, len(uncut) - len(words)) for words, uncut in pairs)
        table.add_row(name, str(len(pairs)), str(first), str(last), str(missing))
    return table


def _sureness(takes: Sequence[Take], heard: Sequence[Heard]) -> Table:
    """What share of right and of wrong texts each `recognition.accept` would ask about."""
    table = Table(title="Asked about, % of the takes, by recognition.accept")
    right = [
        one.confidence for take, one in zip(takes, heard, strict=True) if plain(one.text) == plain(take.words)
    ]
    wrong = [
        one.confidence for take, one in zip(takes, heard, strict=True) if plain(one.text) != plain(take.words)
    ]
    for column in ("", "takes", *map(str, SURENESS)):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in (("right in every word", right), ("wrong in some", wrong)):
        shares = [sum(one < limit for one in found) / max(1, len(found)) for limit in SURENESS]
        table.add_row(name, str(len(found)), *(f"{100 * share:.0f}" for share in shares))
    return table
