"""A private PipeWire with a session manager and a PulseAudio socket, in place of PulseAudio.

The same virtual microphone and speaker under the same names, so that a test can run on either.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support import pulse
from support.pulse import COMMAND_S, KEPT_WARM, PROGRAMS, PulseServer, wait_for

_SERVERS = ("pipewire", "wireplumber", "pipewire-pulse")


def why_unavailable() -> str | None:
    """Why no PipeWire can be had here; None when it can."""
    if sys.platform != "linux":
        return "PipeWire needs Linux"
    needed = ("dbus-daemon", *_SERVERS, *(program for program in PROGRAMS if program != "pulseaudio"))
    missing = [program for program in needed if shutil.which(program) is None]
    return (
        f"not installed: {', '.join(missing)} (Debian: pipewire, wireplumber, pipewire-pulse, dbus)"
        if missing
        else None
    )


class PipeWireServer(PulseServer):
    """As `PulseServer`; its three programs and its bus live and die together."""

    def __init__(self) -> None:
        super().__init__()
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        bus = ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address=unix:path={self._bus}"]
        self._launch(bus)
        wait_for(self._bus.exists, "the bus is there")
        for program in _SERVERS:
            self._launch([program])
            if program == "pipewire":
                wait_for((self.folder / "run" / "pipewire-0").exists, "PipeWire is there")
        self.wait_until_it_answers()
        for sink in KEPT_WARM:
            self.add_sink(sink)
        wait_for(lambda: self._does("set-default-sink", "speaker"), "the session manager takes a default")
        wait_for(lambda: self._does("set-default-source", "mic.monitor"), "it takes another")
        self.keep_warm(*KEPT_WARM)

    def _does(self, *args: str) -> bool:
        try:
            self.pactl(*args)
        except RuntimeError:
            return False
        return True

    def add_sink(self, name: str) -> None:
        self.pactl("load-module", "module-null-sink", f"sink_name={name}", "channels=1", "channel_map=mono")

    def kill(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait(COMMAND_S)
        self._running.clear()
        self.end_warmers()
        for leftover in (self._bus, self.socket, self.folder / "run" / "pipewire-0"):
            leftover.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running[1:]:
            process.send_signal(number)

    def _launch(self, command: list[str]) -> None:
        with (self.folder / "pipewire.log").open("ab") as log:
            self._running.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log))

    def _environment(self) -> dict[str, str]:
        env = super()._environment()
        self._bus = self.folder / "bus"
        self.socket = self.folder / "run" / "pulse" / "native"
        return env | {
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self._bus}",
            "PULSE_SERVER": f"unix:{self.socket}",
            "PIPEWIRE_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_CONFIG_HOME": str(self.folder / "home" / "config"),
            "XDG_STATE_HOME": str(self.folder / "home" / "state"),
        }


@pytest.fixture(params=["pulseaudio", "pipewire"])
def server(request: pytest.FixtureRequest) -> Iterator[PulseServer]:
    """A fresh sound server for one test, which is run on each kind."""
    is_pulse = request.param == "pulseaudio"
    reason = pulse.why_unavailable() if is_pulse else why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with PulseServer() if is_pulse else PipeWireServer() as running:
        yield running
