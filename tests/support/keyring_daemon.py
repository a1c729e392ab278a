"""A private gnome-keyring on a private session bus, in a home of its own: a real Secret Service, no desktop.

Nothing on the bus can show a prompt, so a locked keyring stays locked, as on a machine that nobody sits at.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PROGRAMS = ("dbus-daemon", "dbus-send", "gnome-keyring-daemon")
WITHIN_S = 30.0

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""


def why_unavailable() -> str | None:
    """Why no private keyring can be had here; None when it can."""
    if sys.platform != "linux":
        return "the private keyring needs Linux"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)} (Debian: dbus, gnome-keyring)" if missing else None


class KeyringDaemon:
    """The bus as a context manager, with no keyring yet. `env` is what a process needs to find both."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="omniid-keyring-"))
        home, run = self.folder / "home", self.folder / "run"
        (home / ".local/share/keyrings").mkdir(mode=0o700, parents=True)
        run.mkdir(mode=0o700)
        self.address = f"unix:path={self.folder / 'bus'}"
        self.env = {
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / ".local/share"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_RUNTIME_DIR": str(run),
            "DBUS_SESSION_BUS_ADDRESS": self.address,
        }
        self._bus: subprocess.Popen[bytes] | None = None
        self._keyring: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = self.folder / "bus.conf"
        config.write_text(_BUS.format(socket=self.folder / "bus"))
        try:
            self._bus = self._spawn(["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"])
            self._wait_for_owner(owned=False)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def unlock(self) -> None:
        """Start the keyring unlocked, in place of one that runs. What it holds lasts."""
        self._start("--unlock", password=b"pw")

    def lock(self) -> None:
        """Start the keyring locked, in place of one that runs; it has been unlocked once before."""
        self._start()

    def hang(self) -> None:
        """The keyring answers nobody, as while it waits for a password on the screen."""
        assert self._keyring is not None, "the keyring is not running"
        self._keyring.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on after `hang`."""
        assert self._keyring is not None, "the keyring is not running"
        self._keyring.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """No keyring is on the bus."""
        if self._keyring is not None:
            self._keyring.kill()
            self._keyring.wait(WITHIN_S)
            self._keyring = None
        self._wait_for_owner(owned=False)

    def _start(self, *options: str, password: bytes = b"") -> None:
        self.kill()
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets", *options]
        self._keyring = self._spawn(command, given=password)
        self._wait_for_owner(owned=True)

    def _spawn(self, command: list[str], given: bytes = b"") -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], **self.env}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        return process

    def _wait_for_owner(self, *, owned: bool) -> None:
        """Until the keyring is on the bus, or no longer is; the bus itself may still be starting."""
        deadline = time.monotonic() + WITHIN_S
        while self._ask_bus() != f"boolean {str(owned).lower()}":
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def _ask_bus(self) -> str:
        bus = "org.freedesktop.DBus"
        command = ["dbus-send", f"--bus={self.address}", "--print-reply=literal", f"--dest={bus}", "/"]
        command += [f"{bus}.NameHasOwner", "string:org.freedesktop.secrets"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        return done.stdout.strip()

    def _close(self) -> None:
        for process in (self._keyring, self._bus):
            if process is not None:
                process.kill()
                process.wait(WITHIN_S)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def keyring_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringDaemon]:
    """A bus without a keyring, which this process and its children find. `unlock` starts the keyring."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with KeyringDaemon() as daemon:
        for name, value in daemon.env.items():
            monkeypatch.setenv(name, value)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "PYTHON_KEYRING_BACKEND", "GNOME_KEYRING_CONTROL"):
            monkeypatch.delenv(name, raising=False)
        yield daemon
