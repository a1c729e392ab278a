"""What appears in a folder and what goes, told by the Linux kernel, without polling."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

# linux/inotify.h. A device node's permissions are set a moment after it is made, hence the attributes.
_ATTRIBUTES_CHANGED = 0x004
_MADE = 0x100
_REMOVED = 0x200
_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 65_536


class FolderWatch:
    """A watch on one folder, as a context manager.

    Raises:
        OSError: the folder is not there, or the system's limit of watches is reached.
    """

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _last_error(folder)
        mask = _ATTRIBUTES_CHANGED | _MADE | _REMOVED
        if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask) < 0:
            error = _last_error(folder)
            os.close(self._descriptor)
            raise error
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._changed.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    async def changes(self) -> set[str]:
        """Wait for a change. Returns the names that were touched; "" means: look at all, some were missed."""
        while True:
            self._changed.clear()
            names = self._read()
            if names:
                return names
            await self._changed.wait()

    def _read(self) -> set[str]:
        try:
            data = os.read(self._descriptor, _BUFFER_BYTES)
        except BlockingIOError:
            return set()
        names, at = set(), 0
        while at + _EVENT.size <= len(data):
            *_, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            # An overflow of the kernel's queue, and the end of the watch, come without a name.
            names.add(os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length
        return names


def _last_error(folder: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(folder))
