"""`python -m omniid.audio.probe`: the sound devices PortAudio sees, as one line of JSON.

A program of its own, because loading PortAudio hangs when the sound server does: its caller sets a deadline.
The answer is {"inputs": [name], "outputs": [name], "problem": sentence or null}; the default comes first.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def probe() -> dict[str, Any]:
    """What there is; never raises for a machine that has nothing."""
    try:
        import sounddevice  # noqa: PLC0415 it is what is being probed
    except OSError as error:
        return _nothing(
            f"The PortAudio library cannot be loaded ({error}). Install it: sudo apt install libportaudio2."
        )
    try:
        devices = [dict(device) for device in sounddevice.query_devices()]
        default_in, default_out = sounddevice.default.device
    except sounddevice.PortAudioError as error:
        return _nothing(f"PortAudio cannot list the sound devices: {error}.")
    return {
        "inputs": _names(devices, "max_input_channels", default_in),
        "outputs": _names(devices, "max_output_channels", default_out),
        "problem": None,
    }


def _names(devices: list[dict[str, Any]], channels: str, default: int) -> list[str]:
    fit = [device for device in devices if device[channels] > 0]
    return [str(device["name"]) for device in sorted(fit, key=lambda device: device["index"] != default)]


def _nothing(problem: str) -> dict[str, Any]:
    return {"inputs": [], "outputs": [], "problem": problem}


if __name__ == "__main__":
    # ALSA and JACK talk to standard error about every device they do not find.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    json.dump(probe(), sys.stdout)
