"""A player without a sound card: everything said is appended to one WAV file."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import BinaryIO

from omniid.errors import AudioError

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
HEADER_BYTES = _HEADER.size


class WavFilePlayer:
    """A `Player`. After each utterance the file is a valid WAV; it is created readable for its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rate = 0
        self._sound_bytes = 0

    def prepare(self) -> None:
        """Nothing is loaded; the folder is looked at when there is something to write."""

    def open(self, rate: int) -> str:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "r+b")
            self._rate = rate
            self._sound_bytes = self._length_so_far(self._file.read(_HEADER.size))
            # What an interrupted run wrote behind the end its header names is no part of the file.
            self._file.truncate(_HEADER.size + self._sound_bytes)
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            self._release()
            raise self._failed(error) from error
        except AudioError:
            self._release()
            raise
        return str(self._path)

    def write(self, block: bytes, stop: threading.Event) -> None:  # noqa: ARG002 - a file never makes one wait
        if self._file is None:
            raise AudioError("Sound came before the file was open.")
        try:
            self._file.write(block)
        except OSError as error:
            raise self._failed(error) from error
        self._sound_bytes += len(block)

    def finish(self, stop: threading.Event) -> None:  # noqa: ARG002
        self._complete()

    def abort(self) -> None:
        self._complete()

    def strayed(self) -> None:
        """A file stays where it is."""

    def _complete(self) -> None:
        """The header last: it never names sound that is not there."""
        if self._file is None:
            return
        try:
            self._file.flush()
            self._file.seek(0)
            self._file.write(wav_header(self._rate, self._sound_bytes))
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._release()

    def _length_so_far(self, header: bytes) -> int:
        if not header:
            return 0
        length = _HEADER.unpack(header)[-1] if len(header) == _HEADER.size else 0
        if header != wav_header(self._rate, length):
            raise AudioError(
                f"{self._path} is no mono 16-bit sound file of {self._rate} Hz; name another or remove it.",
                code="output_file_unusable",
            )
        return int(length)

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # it flushes what is left, and the disk may still be full
                raise self._failed(error) from error

    def _failed(self, error: OSError) -> AudioError:
        return AudioError(f"{self._path} cannot be written ({error.strerror}).", code="output_file_unusable")


def wav_header(rate: int, sound_bytes: int) -> bytes:
    """The 44 bytes before the samples of a mono 16-bit WAV."""
    riff_bytes = _HEADER.size - 8 + sound_bytes
    return _HEADER.pack(
        b"RIFF", riff_bytes, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", sound_bytes
    )
