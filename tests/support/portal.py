"""The real xdg-desktop-portal on a private session bus, with a desktop behind it that the test controls."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.hotkeys import WITHIN_S

HERE = Path(__file__).parent
FRONTEND = Path("/usr/libexec/xdg-desktop-portal")
_PORTAL = "org.freedesktop.portal.Desktop"
_BACKEND = "org.freedesktop.impl.portal.desktop.mock"
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""
_DESCRIBED = (
    f"[portal]\nDBusName={_BACKEND}\nInterfaces=org.freedesktop.impl.portal.GlobalShortcuts;\nUseIn=mock\n"
)


def why_unavailable() -> str | None:
    """Why the real portal cannot be had here; None when it can."""
    if sys.platform != "linux":
        return "the portal needs Linux"
    if not FRONTEND.exists() or shutil.which("dbus-daemon") is None or shutil.which("dbus-send") is None:
        return "not installed (Debian: dbus, xdg-desktop-portal)"
    return None


class Desktop:
    """`address` of its bus; `asked` is what the portal's backend was asked, newest last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix:path={folder / 'bus'}"
        self.asked: list[dict[str, dict[str, str]]] = []
        self._running: dict[str, Process] = {}
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "DBUS_SESSION_BUS_ADDRESS": self.address,
            "XDG_DESKTOP_PORTAL_DIR": str(folder),
            "XDG_CURRENT_DESKTOP": "mock",
        }

    async def start_bus(self) -> None:
        config = self.folder / "bus.conf"
        config.write_text(_BUS.format(socket=self.folder / "bus"))
        await self._start("bus", "dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile")
        await self._wait_for_owner("org.freedesktop.DBus")

    async def start_backend(self) -> None:
        (self.folder / "mock.portal").write_text(_DESCRIBED)
        await self._start("backend", sys.executable, str(HERE / "portal_backend.py"))
        assert await self._hear() == ["up"]

    async def start_portal(self) -> None:
        await self._start("portal", str(FRONTEND))
        await self._wait_for_owner(_PORTAL)

    async def order(self, *words: str) -> None:
        """Have the backend do something: see there."""
        backend = self._running["backend"]
        assert backend.stdin is not None
        backend.stdin.write(" ".join(words).encode() + b"\n")
        while (heard := await self._hear()) != ["done"]:
            self._note(heard)

    async def until_asked(self) -> dict[str, dict[str, str]]:
        while not self.asked:
            self._note(await self._hear())
        return self.asked.pop()

    async def kill(self, name: str) -> None:
        """`bus`, `backend` or `portal` dies without a word."""
        process = self._running.pop(name)
        if process.returncode is None:
            process.kill()
        await process.wait()

    def hang(self, name: str) -> None:
        """It keeps its connections and answers nobody."""
        self._running[name].send_signal(signal.SIGSTOP)

    async def end(self) -> None:
        for name in list(self._running):
            await self.kill(name)

    def _note(self, heard: list[Any]) -> None:
        if heard[0] == "asked":
            self.asked.append(heard[1])

    async def _hear(self) -> list[Any]:
        backend = self._running["backend"]
        assert backend.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            words: list[Any] = json.loads(await backend.stdout.readline())
        return words

    async def _start(self, name: str, *command: str) -> None:
        out = PIPE if name == "backend" else DEVNULL
        self._running[name] = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdin=PIPE, stdout=out, stderr=DEVNULL
        )

    async def _wait_for_owner(self, name: str) -> None:
        bus = "org.freedesktop.DBus"
        command = ["dbus-send", f"--bus={self.address}", "--print-reply=literal", f"--dest={bus}", "/"]
        command += [f"{bus}.NameHasOwner", f"string:{name}"]
        async with asyncio.timeout(WITHIN_S):
            while True:
                asking = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
                answer, _ = await asking.communicate()
                if answer.strip() == b"boolean true":
                    return
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def desktop(*, backend: bool = True, portal: bool = True) -> AsyncIterator[Desktop]:
    """A bus; with the portal on it, and a desktop that knows global shortcuts behind it."""
    with tempfile.TemporaryDirectory(prefix="omniid-portal-") as folder:
        one = Desktop(Path(folder))
        try:
            await one.start_bus()
            if backend:
                await one.start_backend()
            if portal:
                await one.start_portal()
            yield one
        finally:
            await one.end()
