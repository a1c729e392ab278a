"""The sound of a take as a file, written as it comes, so that a take outlives the process that hears it.

The header names no length until the end, and each block goes to the system at once: whoever is killed in
the middle leaves a file that can be read up to there. A full disk costs the file, never the take.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

from omniid.audio.frames import RATE
from omniid.audio.wav_file import HEADER_BYTES, wav_header

_log = logging.getLogger(__name__)

_UNKNOWN_BYTES = 0xFFFF_FFFF - HEADER_BYTES  # as writers to a pipe leave it
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def is_plain_name(take_id: str) -> bool:
    """Whether it can stand as a file's name and point nowhere else."""
    return _PLAIN_NAME.fullmatch(take_id) is not None


def take_path(folder: str, take_id: str) -> Path:
    return Path(folder) / f"{take_id}.wav"


class TakeFile:
    """Nothing raises: what goes wrong is logged, and then there is no file. Readable for its owner only."""

    def __init__(self, folder: str | None, take_id: str) -> None:
        self._path = None if folder is None else take_path(folder, take_id)
        self._descriptor: int | None = None
        self._sound_bytes = 0

    def write(self, pcm: bytes) -> None:
        if self._path is None or not pcm:
            return
        try:
            if self._descriptor is None:
                self._descriptor = _created(self._path)
            _write_all(self._descriptor, pcm)
            self._sound_bytes += len(pcm)
        except OSError as error:
            _log.warning("the take is not kept, it cannot be tried again: %s", error)
            self.forget()

    def complete(self) -> None:
        """There is no more sound to come."""
        if self._descriptor is None:
            return
        try:
            os.pwrite(self._descriptor, wav_header(RATE, self._sound_bytes), 0)
        except OSError as error:
            _log.debug("the take's file keeps its open end: %s", error)
        self._close()

    def forget(self) -> None:
        """Nobody will want it: half a take is not the take. Nothing is written from now on."""
        self._close()
        path, self._path = self._path, None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _created(path: Path) -> int:
    """A fresh file with a header; what an earlier ear left of the same take is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write_all(descriptor, wav_header(RATE, _UNKNOWN_BYTES))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_all(descriptor: int, content: bytes) -> None:
    """A write may take only a part where the disk is nearly full."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
