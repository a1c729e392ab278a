"""Runs `omniid.audio.meter` and draws what it says. A hanging sound system costs the deadline, no more."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

MEASURE_S = 10.0
SILENT_S = 3.0  # a Bluetooth headset needs two seconds for its first sound
FLOOR_DB = -96.0
_LOWEST_SHOWN_DB = -60.0
_NO_SOUND = (
    "The microphone gives no sound at all: check that it is connected and that the sound server runs; "
    "`omniid doctor` looks further."
)


@dataclass(slots=True)
class Measured:
    """`device` is None when no sound came. `levels` counts the levels that came."""

    device: str | None = None
    loudest_db: float = FLOOR_DB
    levels: int = 0
    problem: str | None = None

    @property
    def is_dead(self) -> bool:
        """Not the least noise: muted, or switched off."""
        return self.levels > 0 and self.loudest_db <= FLOOR_DB

    def take_in(self, said: dict[str, Any]) -> None:
        self.device = said.get("device", self.device)
        self.problem = said.get("problem", self.problem)
        if "peak_db" in said:
            self.levels += 1
            self.loudest_db = max(self.loudest_db, said["peak_db"])

    def as_json(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "loudest_db": self.loudest_db if self.levels else None,
            "all_zero": self.is_dead,
            "problem": self.problem,
        }


def measure(device: str | None, *, is_shown: bool, seconds: float = MEASURE_S) -> Measured:
    """Listen for so long, or until Ctrl-C."""
    command = [sys.executable, "-P", "-m", "omniid.audio.meter", *(["--device", device] if device else [])]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 ourselves
    measured = Measured()
    try:
        with _drawing(is_shown=is_shown) as draw:
            assert child.stdout is not None  # noqa: S101 it was asked for above
            for said in _said(child.stdout, seconds):
                measured.take_in(said)
                if "peak_db" in said:
                    draw(said["peak_db"])
        if not measured.levels and measured.problem is None:
            measured.problem = _NO_SOUND
    except KeyboardInterrupt:
        measured.problem = None  # the user has seen enough
    finally:
        child.kill()
        child.communicate()
    return measured


def _said(stream: IO[bytes], seconds: float) -> Iterator[dict[str, Any]]:
    """What the meter says, until the time is over, it has gone, or it has been silent for too long."""
    end, rest = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0 and selector.select(min(left, SILENT_S)):
            piece = os.read(stream.fileno(), 65_536)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, lines)


@contextlib.contextmanager
def _drawing(*, is_shown: bool) -> Iterator[Callable[[float], None]]:
    """Gives what draws a level: a bar in the terminal, or nothing."""
    if not is_shown:
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 only a terminal needs it

    columns = (TextColumn("microphone"), BarColumn(40), TextColumn("{task.fields[level]:>4.0f} dB"))
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=-_LOWEST_SHOWN_DB, level=FLOOR_DB)
        yield lambda level: progress.update(
            task, completed=max(0.0, level - _LOWEST_SHOWN_DB), level=level, refresh=True
        )
