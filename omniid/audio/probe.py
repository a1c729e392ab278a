"""`python -m omniid.audio.probe`: the sound devices of this machine, as one line of JSON.

A program of its own, because loading PortAudio hangs when the sound server does: its caller sets a deadline.
The answer is `{"inputs": [device], "outputs": [device], "problem": sentence or null}`, the default first. A
device is `{"name", "description", "is_default", "muted", "is_monitor"}`: `name` is what `audio.input_device`
and `audio.output_device` take, `muted` is null where the system does not say, and a monitor is what a
speaker plays, offered as if it were a microphone. It ends with its standard input: its caller may be killed
while it hangs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import Any

from omniid.audio import portaudio, sound_server
from omniid.errors import AudioError

_log = logging.getLogger(__name__)

# As PortAudio a sound server's clients are one device of one of these names.
_SERVER_DEVICES = {"pulse", "default", "pipewire"}


def probe() -> dict[str, Any]:
    """What there is; never raises for a machine that has nothing."""
    inputs, outputs = _of_server()
    try:
        devices, default_in, default_out = _of_portaudio()
    except AudioError as error:
        return _answer(inputs, outputs, error.message)
    if not inputs and not outputs:
        inputs = _direct(devices, "max_input_channels", default_in)
        outputs = _direct(devices, "max_output_channels", default_out)
        return _answer(inputs, outputs, None)
    if not _SERVER_DEVICES & {str(device["name"]) for device in devices}:
        problem = "PortAudio does not reach the sound server: install libasound2-plugins, or pipewire-alsa."
        return _answer(inputs, outputs, problem)
    return _answer(inputs, outputs, None)


def _of_server() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with sound_server.connected() as server:
        if server is None:
            return [], []
        try:
            defaults = server.server_info()
            sources, sinks = server.source_list(), server.sink_list()
        except sound_server.errors() as error:
            _log.debug("the sound server did not list its devices: %s", error)
            return [], []
    return (
        [_named(source, defaults.default_source_name, source.monitor_of_sink_name) for source in sources],
        [_named(sink, defaults.default_sink_name, None) for sink in sinks],
    )


def _named(device: Any, default: str, monitor_of: str | None) -> dict[str, Any]:
    return {
        "name": str(device.name),
        "description": str(device.description),
        "is_default": device.name == default,
        "muted": bool(device.mute),
        "is_monitor": monitor_of is not None,
    }


def _of_portaudio() -> tuple[list[dict[str, Any]], int, int]:
    sd = portaudio.load()
    try:
        devices = [dict(device) for device in sd.query_devices()]
        default_in, default_out = sd.default.device
    except sd.PortAudioError as error:
        raise AudioError(f"PortAudio cannot list the sound devices: {error}.") from error
    return devices, int(default_in), int(default_out)


def _direct(devices: list[dict[str, Any]], channels: str, default: int) -> list[dict[str, Any]]:
    """Devices without a sound server, by the names that PortAudio has for them."""
    return [
        {
            "name": str(device["name"]),
            "description": str(device["name"]),
            "is_default": device["index"] == default,
            "muted": None,
            "is_monitor": False,
        }
        for device in devices
        if device[channels] > 0
    ]


def _answer(
    inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], problem: str | None
) -> dict[str, Any]:
    return {"inputs": _in_order(inputs), "outputs": _in_order(outputs), "problem": problem}


def _in_order(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(devices, key=lambda device: (not device["is_default"], device["is_monitor"]))


def _end_with_caller() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_caller, name="caller", daemon=True).start()
    # ALSA and JACK talk to standard error about every device they do not find.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    json.dump(probe(), sys.stdout)
