"""Keyboards that are plugged in, typed on and pulled out by a test, and a listener that takes them for real.

umockdev answers a process's calls on /dev/input from a folder, so whoever listens runs in a child process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.hotkeys import WITHIN_S, Heard

from omniid.errors import HotkeyError
from omniid.hotkeys.contract import Live

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"  # the binding is a Debian package, not one of PyPI
EV_SYN, EV_KEY, SYN_DROPPED = 0, 1, 3
UP, DOWN, REPEAT = 0, 1, 2


def why_unavailable() -> str | None:
    """Why no keyboards can be made up here; None when they can."""
    if sys.platform != "linux":
        return "umockdev needs Linux"
    binding = "import gi; gi.require_version('UMockdev', '1.0'); from gi.repository import UMockdev"
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", binding], check=True, capture_output=True, timeout=WITHIN_S)
        import evdev  # noqa: F401, PLC0415 - an extra of omniid, asked after
    except (OSError, subprocess.SubprocessError, ImportError) as error:
        return f"{error} (Debian: umockdev, gir1.2-umockdev-1.0, python3-gi; PyPI: evdev-binary)"
    return None if shutil.which("umockdev-run") else "not installed: umockdev"


class Bed:
    """The keyboards, by number."""

    def __init__(self, process: asyncio.subprocess.Process, root: str) -> None:
        self._process = process
        self.environment = {**os.environ, "LD_PRELOAD": "libumockdev-preload.so.0", "UMOCKDEV_DIR": root}

    async def plug(self, number: int) -> None:
        await self._do("plug", number)

    async def unplug(self, number: int) -> None:
        await self._do("unplug", number)

    async def key(self, code: int, value: int, *, keyboard: int = 0) -> None:
        await self._do("event", keyboard, EV_KEY, code, value)

    async def drop(self, *, keyboard: int = 0) -> None:
        """The kernel has dropped events, since nobody read them in time."""
        await self._do("event", keyboard, EV_SYN, SYN_DROPPED, 0)

    async def _do(self, *words: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        async with asyncio.timeout(WITHIN_S):
            assert await self._process.stdout.readline() == b"done\n", words


@contextlib.asynccontextmanager
async def keyboard_bed() -> AsyncIterator[Bed]:
    """An empty /dev/input."""
    program = str(HERE / "umockdev_bed.py")
    process = await asyncio.create_subprocess_exec(SYSTEM_PYTHON, program, stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            root = (await process.stdout.readline()).decode().strip()
        yield Bed(process, root)
        process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def child_listening(
    backend: str, environment: dict[str, str], *wrapper: str, **chords: str
) -> AsyncIterator[Heard]:
    """Runs a backend in a child process, from when it is live or has failed to the end of the block."""
    pairs = [f"{owner}={chord}" for owner, chord in chords.items()]
    command = [*wrapper, sys.executable, str(HERE / "hotkey_child.py"), backend, *pairs]
    child = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE)
    heard = Heard()
    heard.pid = child.pid
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_read(child, heard))
        try:
            await heard.until(lambda: heard.live or heard.error)
            yield heard
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            await asyncio.wait([reading])


async def _read(child: asyncio.subprocess.Process, heard: Heard) -> None:
    assert child.stdout is not None
    async for line in child.stdout:
        words: list[Any] = json.loads(line)
        match words:
            case ["live", backend, sees_releases, note]:
                heard.on_live(Live(backend, sees_releases, note))
            case ["error", code, message]:
                heard.on_error(HotkeyError(message, code=code))
            case _:
                heard.add(*words)
