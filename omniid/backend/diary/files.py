"""The calendar files of the folders that may be read, within bounds."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

MAX_FILES = 20_000
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_TOTAL_BYTES = 128 * 1024 * 1024
_MAX_DEPTH = 8


class UnreadError(Exception):
    """A file that is not read; the message is a clause that says why."""


def paths(folders: Sequence[str], on_error: Callable[[OSError], None]) -> Iterator[str]:
    """The .ics files below the folders, in one order every time. Links to folders are not followed.

    `on_error` gets what the disk says of a folder that cannot be listed.
    """
    for folder in folders:
        for place, below, names in os.walk(folder, onerror=on_error):
            below.sort()
            if place[len(folder) :].count(os.sep) >= _MAX_DEPTH:
                below.clear()
            yield from (os.path.join(place, name) for name in sorted(names) if _is_calendar(name))  # noqa: PTH118


class Files:
    """Reads one file after the other, each once, however often it is found, until a bound is met."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._bytes = 0

    def read(self, path: str) -> bytes | None:
        """The content; None where the same file was read before.

        Raises:
            UnreadError: it is a link, no plain file, too large, one too many, or the disk refuses it.
        """
        try:
            # A link may lead out of what the user allowed, and opening a pipe would wait for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:  # noqa: PTH123 a Path cannot open a descriptor
                if not self._is_new(os.fstat(descriptor)):
                    return None
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise UnreadError((error.strerror or str(error)).lower()) from error
        self._bytes += len(content)
        if len(content) > MAX_FILE_BYTES:
            raise UnreadError("it is too large")
        return content

    def _is_new(self, found: os.stat_result) -> bool:
        if not stat.S_ISREG(found.st_mode):
            raise UnreadError("it is no plain file")
        identity = (found.st_dev, found.st_ino)
        if identity in self._seen:
            return False
        if len(self._seen) >= MAX_FILES or self._bytes > MAX_TOTAL_BYTES:
            raise UnreadError("there are too many")
        self._seen.add(identity)
        return True


def _is_calendar(name: str) -> bool:
    return name.lower().endswith(".ics")
