"""The whole way through a real daemon: from the key to the first sample, from the release to the frame.

A file stands in for the microphone, at a microphone's pace, so that every take is the same. The frame's time
is the server's.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track
from rich.table import Table

from benchmarks.session_parts.house import Server
from benchmarks.voice_parts.noises import RATE
from benchmarks.voice_parts.takes import Take
from omniid.cli.private_daemon import Config, PrivateDaemon

WITHIN_S = 60.0


def measure(takes: Sequence[Take]) -> Table:
    stages: dict[str, list[float]] = {
        "key to first sample": [],
        "release to text": [],
        "release to frame": [],
    }
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        recording = Path(folder) / "take.wav"
        write(recording, takes[0].pcm)
        config: Config = {
            "backend": {"url": server.up("plain"), "user_id": "benchmark", "token": "benchmark"},
            "audio": {"input_file": recording},
            "recognition": {"accept": 0.0, "reject": 0.0},
            "speech": {"engine": "none"},
            "log": {"level": "error"},
        }
        quiet = {"HF_HUB_OFFLINE": "1", "PULSE_SERVER": "unix:/nonexistent"}
        with PrivateDaemon(Path(folder), config, quiet) as daemon:
            for take in (takes[0], *track(takes, "takes", transient=True)):  # the first loads the model
                write(recording, take.pcm)
                found = _speak(daemon, server)
                for stage, seconds in found.items():
                    stages[stage].append(seconds)
    return _table(len(takes), {stage: found[1:] for stage, found in stages.items()})


def write(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def _speak(daemon: PrivateDaemon, server: Server) -> dict[str, float]:
    """One take, held for as long as its sound lasts; empty where nothing was heard."""
    owner = {"owner": "benchmark"}
    daemon.client.call("POST", "/v1/listen/start", owner)
    _until(daemon, "input_file_ended")
    released_at = time.perf_counter()
    daemon.client.call("POST", "/v1/listen/stop", owner)
    event = _until(daemon, "command_settled", "take_empty")
    if event["event"] == "take_empty":
        return {}
    command = daemon.client.call("GET", f"/v1/commands/{event['data']['command_id']}")
    timings = command["timings"]
    arrived = server.ask("arrived")["arrived"][command["message"]]
    return {
        "key to first sample": timings["first_sample"] / 1000,
        "release to text": (timings["recognised"] - timings["released"]) / 1000,
        "release to frame": arrived - released_at,
    }


def _until(daemon: PrivateDaemon, *names: str) -> dict[str, Any]:
    while True:
        event = daemon.next_event(WITHIN_S)
        if event["event"] in names:
            return event


def _table(takes: int, stages: dict[str, list[float]]) -> Table:
    table = Table(title=f"Through a daemon, {takes} takes, in ms")
    for column in ("", "commands", "p50", "p95", "longest"):
        table.add_column(column, justify="left" if not column else "right")
    for stage, found in stages.items():
        ordered = sorted(found)
        marks = (statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1])
        table.add_row(stage, str(len(ordered)), *(f"{mark * 1000:.0f}" for mark in marks))
    return table
