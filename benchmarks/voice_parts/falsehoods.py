"""Commands that nobody gave: noise, music and silence, heard as takes of five seconds."""

from __future__ import annotations

from collections import Counter

from rich.progress import track
from rich.table import Table

from benchmarks.voice_parts import noises
from benchmarks.voice_parts.contenders import Omniid, Stock
from omniid.recognition.models import ModelChoice


def measure(choice: ModelChoice, minutes: float, stock_minutes: float) -> Table:
    omniid, stock = Omniid(choice), Stock(choice, "default")
    heard: dict[str, Counter[str]] = {"omniid": Counter(), "faster-whisper": Counter()}
    said: Counter[str] = Counter()
    made = list(noises.takes(minutes))
    limit = len(list(noises.takes(stock_minutes)))
    for index, (kind, pcm) in enumerate(track(made, "noise", transient=True)):
        heard["omniid"][kind] += bool(omniid.hear_file(pcm).text)
        if index < limit:
            text = stock.hear_file(pcm).text
            heard["faster-whisper"][kind] += bool(text)
            said[text] += bool(text)
    common = ", ".join(repr(text) for text, _ in said.most_common(4))
    table = Table(title="Texts that nobody said", caption=f"stock's commonest: {common}" if common else None)
    for column in ("", "minutes", "all", *noises.KINDS):
        table.add_column(column, justify="left" if not column else "right")
    for name, long in (("omniid", minutes), ("faster-whisper", stock_minutes)):
        counts = heard[name]
        table.add_row(name, f"{long:.0f}", str(counts.total()), *(str(counts[kind]) for kind in noises.KINDS))
    return table
