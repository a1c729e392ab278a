"""A private X server without a screen, and xdotool as the person at its keyboard."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest

PROGRAMS = ("Xvfb", "xdotool", "setxkbmap")
WITHIN_S = 60.0


def why_unavailable() -> str | None:
    """Why no X server can be had here; None when it can."""
    if sys.platform != "linux":
        return "the private X server needs Linux"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)} (Debian: xvfb, xdotool, x11-xkb-utils)" if missing else None


class Xvfb:
    """The server, as a context manager. `display` is its name; it is chosen where none is given."""

    def __init__(self, display: str = "") -> None:
        self.display = display
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        wanted = [self.display] if self.display else []
        command = [
            "Xvfb",
            *wanted,
            "-displayfd",
            "1",
            "-screen",
            "0",
            "640x480x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._server = server
        assert server.stdout is not None
        self.display = f":{int(server.stdout.readline())}"  # it writes when it is ready
        server.stdout.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    async def do(self, *command: str) -> None:
        """Run a program on this display, such as `do("xdotool", "keydown", "F9")`."""
        environment = {**os.environ, "DISPLAY": self.display}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 0, command

    async def keys(self, *words: str) -> None:
        """`keys("keydown", "F9")`: what xdotool does."""
        await self.do("xdotool", *words)

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(WITHIN_S)
            self._server = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(number)


@pytest.fixture
def xvfb() -> Iterator[Xvfb]:
    """A fresh X server."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with Xvfb() as server:
        yield server
