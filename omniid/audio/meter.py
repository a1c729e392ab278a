"""`python -m omniid.audio.meter [--device NAME]`: how loud the microphone is, one line of JSON a time.

A program of its own, because the sound system can hang in any call: its caller sets a deadline and ends it,
which closes the microphone. The lines are `{"device": name, "muted": bool}` once it is open, then
`{"peak_db": number}` ten times a second, or at last `{"problem": sentence}`. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from typing import Any

from omniid.audio.level import LevelMeter
from omniid.audio.microphone import Microphone
from omniid.errors import AudioError

READ_S = 0.2


def measure(name: str | None) -> None:
    """Until nobody reads any more.

    Raises:
        AudioError: there is no such microphone.
    """
    microphone, meter, told = Microphone(name), LevelMeter(), False
    microphone.listen()
    microphone.open()
    while True:
        block = microphone.read(READ_S)
        if block is None:
            continue
        if not told:
            told = True
            _say({"device": microphone.device, "muted": microphone.muted})
        level = meter.add(block.pcm, time.monotonic())
        if level is not None:
            _say({"peak_db": round(level, 1)})


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 it is how this program answers


def _end_with_caller() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m omniid.audio.meter", description=__doc__)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # ALSA and JACK talk to it about every missing device
    threading.Thread(target=_end_with_caller, name="caller", daemon=True).start()
    try:
        measure(arguments.device)
    except AudioError as error:
        _say({"problem": error.message})
        sys.stdout.flush()
        os._exit(1)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
