"""Sound files as the one form sound has here, and a file that stands in for the microphone.

FFmpeg (through PyAV) reads them: WAV of any rate, width and number of channels, extensible and float ones
too, and the usual compressed forms. It is kept to those forms and to plain files, so that a playlist in
disguise can never make it reach for the network. A file is read as it is needed and never lies in memory.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omniid.audio.frames import BLOCK_BYTES, BLOCK_S, RATE, SAMPLE_BYTES, SILENT_BLOCK, Block
from omniid.errors import AudioError

if TYPE_CHECKING:
    from av import AudioFrame

_FFMPEG_OPTIONS = {"format_whitelist": "wav,w64,aiff,flac,ogg,mp3,mov", "protocol_whitelist": "file"}
# A writer to a pipe does not know the length: it leaves zero or one of the largest numbers there.
_UNKNOWN_LENGTHS = (range(1), range(0x7FFF_0000, 0x8000_0000), range(0xFFFF_0000, 0x1_0000_0000))


def read_sound(path: str) -> Iterator[bytes]:
    """The file's sound as 16 kHz mono int16, in pieces of any length.

    Raises:
        AudioError: no such file (`sound_file_missing`), no sound file or a damaged one
            (`sound_file_unreadable`), or one with nothing in it (`sound_file_empty`).
    """
    _check_file(path)
    got_any = False
    for piece in _decode(path):
        got_any = True
        yield piece
    if not got_any:
        raise AudioError(f"{path} has no sound in it: record it again.", code="sound_file_empty")


def read_take(path: str, max_take_s: float) -> bytes:
    """A whole file as one take.

    Raises:
        AudioError: as `read_sound`; or it is longer than a take may be (`sound_file_too_long`).
    """
    limit, kept, total = round(max_take_s * RATE) * SAMPLE_BYTES, bytearray(), 0
    for piece in read_sound(path):
        total += len(piece)
        if total <= limit:
            kept += piece
    if total > limit:
        length = total / SAMPLE_BYTES / RATE
        raise AudioError(
            f"{path} is {length:.1f} s long and a take may have {max_take_s:g} s: "
            f"cut it into parts, or raise audio.max_take_s to {int(length) + 1}.",
            code="sound_file_too_long",
        )
    return bytes(kept)


def _check_file(path: str) -> None:
    """What the file system and the first bytes already tell, in words better than FFmpeg's."""
    if not Path(path).exists():
        raise AudioError(f"There is no file {path}: check the path.", code="sound_file_missing")
    if not Path(path).is_file():
        raise AudioError(
            f"{path} is not a file: name a sound file, such as a WAV.", code="sound_file_missing"
        )
    try:
        with Path(path).open("rb") as file:
            head, size = file.read(12), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}.", code="sound_file_unreadable") from error
    if size == 0:
        raise AudioError(f"{path} is empty: record or copy it again.", code="sound_file_empty")
    if len(head) == 12 and head[:4] == b"RIFF" and head[8:] == b"WAVE":  # noqa: PLR2004 - the length read above
        _check_length(path, promised=struct.unpack("<I", head[4:8])[0] + 8, size=size)


def _check_length(path: str, *, promised: int, size: int) -> None:
    """FFmpeg takes a cut-off WAV for a short one; half a command is not the command."""
    if size < promised and not any(promised - 8 in unknown for unknown in _UNKNOWN_LENGTHS):
        raise AudioError(
            f"{path} is cut off: {size} of {promised} bytes are there. Record or copy it again.",
            code="sound_file_unreadable",
        )


def _decode(path: str) -> Iterator[bytes]:
    import av  # noqa: PLC0415 - FFmpeg is large, and only a take that reads a file needs it

    try:
        with av.open(path, options=_FFMPEG_OPTIONS) as container:
            if not container.streams.audio:
                raise AudioError(f"{path} has no sound in it: choose another file.", code="sound_file_empty")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                yield from _pieces(resampler.resample(frame))
            yield from _pieces(resampler.resample(None))
    except av.FFmpegError as error:
        raise AudioError(
            f"{path} is not a sound file that omniid can read: convert it to WAV, for example with ffmpeg.",
            code="sound_file_unreadable",
        ) from error


def _pieces(frames: list[AudioFrame]) -> Iterator[bytes]:
    for frame in frames:
        piece = bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES]
        if piece:
            yield piece


class FileSource:
    """A sound file behind the microphone's interface; after its end it is a microphone nobody speaks into.

    `pace` 1 gives the file in real time, 0 as fast as it is read; 2 would be twice as fast.
    """

    is_real = False
    is_muted = False
    is_stuck = False
    overflows = 0

    def __init__(self, path: str, pace: float) -> None:
        self.device = path
        self.file_ended = False
        self._pace = pace
        self._blocks = _blocks(path)
        self._due_at = 0.0
        self._closed = threading.Event()

    @property
    def is_ahead(self) -> bool:
        return self._pace == 0 and not self.file_ended

    def open(self) -> None:
        self._due_at = time.monotonic()

    def read(self, timeout_s: float) -> Block | None:
        wait = self._due_at - time.monotonic()
        if wait > timeout_s:
            self._closed.wait(timeout_s)
            return None
        if wait > 0:
            self._closed.wait(wait)
        pcm = next(self._blocks, None)
        if pcm is None:
            self.file_ended = True
            pcm = SILENT_BLOCK
        first_sample_at = self._due_at
        self._due_at = self._next_due()
        return Block(pcm, first_sample_at)

    def close(self, timeout_s: float) -> bool:  # noqa: ARG002 - a file is always let go of
        self._closed.set()
        self._blocks.close()
        return True

    def _next_due(self) -> float:
        """A block is due when its last sample would have been spoken."""
        if self.file_ended:
            return max(self._due_at, time.monotonic() - BLOCK_S) + BLOCK_S
        return self._due_at + BLOCK_S / self._pace if self._pace else time.monotonic()


def _blocks(path: str) -> Generator[bytes]:
    """The file in blocks of 20 ms; the last one is filled up with silence."""
    rest = bytearray()
    for piece in read_sound(path):
        rest += piece
        while len(rest) >= BLOCK_BYTES:
            yield bytes(rest[:BLOCK_BYTES])
            del rest[:BLOCK_BYTES]
    if rest:
        yield bytes(rest).ljust(BLOCK_BYTES, b"\0")
