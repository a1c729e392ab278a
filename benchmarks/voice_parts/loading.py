"""From the key to a model that is ready, and what an ear weighs. Linux."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from omniid.recognition.models import ModelChoice

HEAVY = ("ctranslate2", "onnxruntime", "numpy", "faster_whisper", "av", "tokenizers")
CHILD = Path(__file__).with_name("ear_child.py")


def measure(choice: ModelChoice, repeat: int) -> Table:
    """A fresh process each time, as an ear is; `cold` with everything it reads put out of the disk cache."""
    table = Table(title="Key-down to model ready, in ms, and memory (PSS), in MB; medians")
    for column in (
        "disk cache",
        "detector ready",
        "model ready",
        "standing by",
        "model loaded",
        "after a take",
    ):
        table.add_column(column, justify="left" if column == "disk cache" else "right")
    for cache in ("cold", "warm"):
        found = []
        for _ in range(repeat):
            if cache == "cold":
                _forget(_files(choice))
            found.append(_run(choice))
        keys = ("detector_ms", "model_ms", "standing_by_mb", "loaded_mb", "after_take_mb")
        table.add_row(cache, *(f"{statistics.median(one[key] for one in found):.0f}" for key in keys))
    table.caption = "Unloading replaces the process: then it weighs what it does standing by."
    return table


def _run(choice: ModelChoice) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(choice.path)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _files(choice: ModelChoice) -> Iterable[Path]:
    yield from choice.path.iterdir()
    for name in HEAVY:
        package = importlib.util.find_spec(name)
        for folder in (package.submodule_search_locations or []) if package else []:
            yield from Path(folder).rglob("*")
            yield from Path(f"{folder}.libs").rglob("*")


def _forget(files: Iterable[Path]) -> None:
    """Out of the disk cache; what another process has mapped stays."""
    os.sync()
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
