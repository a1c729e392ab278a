"""What the flow tests share: speech to feed in, a daemon to feed it to, and waiting for what it does."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omniid.cli.private_daemon import Config, PrivateDaemon

HUMAN = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
WITHIN_S = 60.0

# No model hub, and no sound server, bus, browser or display of the machine's own may be found by chance.
QUIET_HOUSE = {
    "HF_HUB_OFFLINE": "1",
    "PULSE_SERVER": "unix:/nonexistent",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
    "BROWSER": "/nonexistent",
    "DISPLAY": "",
    "WAYLAND_DISPLAY": "",
}


def human_speech(path: Path) -> Path:
    """A WAV of a person saying "go forward ten meters"."""
    return write_wav(path, HUMAN.read_bytes())


def write_wav(path: Path, samples: bytes, *, rate: int = 16_000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(samples)
    return path


def loudness(path: Path) -> int:
    """The largest sample of a 16-bit WAV."""
    with wave.open(str(path), "rb") as sound:
        samples = memoryview(sound.readframes(sound.getnframes())).cast("h")
    return max(map(abs, samples), default=0)


def daemon(folder: Path, config: Config | None = None, **environment: str) -> PrivateDaemon:
    folder.mkdir(parents=True, exist_ok=True)
    return PrivateDaemon(folder, config or {}, {**QUIET_HOUSE, **environment})


def until(
    running: PrivateDaemon, *names: str, where: Callable[[dict[str, Any]], bool] = lambda _: True
) -> dict[str, Any]:
    """The data of the next event of one of these names for which `where` holds."""
    while True:
        event = running.next_event(WITHIN_S)
        if event["event"] in names and where(event["data"]):
            return {**event["data"], "event": event["event"]}


def until_ready(running: PrivateDaemon) -> None:
    """Wait for the link; the snapshot the stream begins with may tell of it already."""
    until(running, "snapshot", "link_opened", where=lambda data: data.get("link", "ready") == "ready")


def until_ear(running: PrivateDaemon) -> None:
    while not running.status()["workers"]["ear"]["running"]:
        until(running, "worker_stood", "worker_failed")


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def environment_of(running: PrivateDaemon) -> dict[str, str]:
    """What a command line needs to reach this daemon."""
    return {**os.environ, "OMNIID_CONFIG": str(running.folder / "config.toml")}
