"""A process of its own, as an ear is: it stands by, loads a model, hears one take and says what that took."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import omniid.workers.ear  # noqa: F401 - what stands by
from omniid.workers.channel import ConfigureEar
from omniid.workers.hearing import Hearing
from omniid.workers.model_loader import ModelLoader, ModelSettings


def main() -> None:
    config = ConfigureEar(model=sys.argv[1])
    found = {"standing_by_mb": memory_mb()}
    began = time.perf_counter()
    loader = ModelLoader(ModelSettings.of(config))
    hearing = Hearing("", loader, config)
    loader.wait_for_speech_stream()
    found["detector_ms"] = (time.perf_counter() - began) * 1000
    loader.get()
    found["model_ms"] = (time.perf_counter() - began) * 1000
    found["loaded_mb"] = memory_mb()
    hearing.add(Path("/usr/share/pocketsphinx/test/data/goforward.raw").read_bytes())
    hearing.finish(is_real=False, is_cancelled=lambda: False)
    hearing.close()
    found["after_take_mb"] = memory_mb()
    print(json.dumps(found))


def memory_mb() -> float:
    """This process's share of the machine's memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
