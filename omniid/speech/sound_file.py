"""Reads the sound files that speech engines write: WAV (eSpeak) and AIFF (macOS), 16-bit PCM."""

from __future__ import annotations

import struct
import wave
from array import array
from pathlib import Path

from omniid.errors import SpeechError
from omniid.speech.synthesizer import Sound

_AIFF_COMMON = struct.Struct(">hIh")  # channels, frames, bits a sample; an 80-bit rate follows
_SIXTEEN_BITS = 16
_EXPONENT_BIAS = 16383
_MANTISSA_BITS = 63


def read_sound(path: Path) -> Sound:
    """The whole file as mono (of several channels, the first).

    Raises:
        SpeechError: the file is missing, cut short or of another format.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        return _read_aiff(path.read_bytes()) if magic == b"FORM" else _read_wav(path)
    except (OSError, EOFError, ValueError, wave.Error, struct.error) as error:
        raise SpeechError(f"The voice engine wrote no sound that can be read ({error}).") from error


def _read_wav(path: Path) -> Sound:
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() * 8 != _SIXTEEN_BITS:
            raise ValueError(f"{file.getsampwidth() * 8} bits a sample")
        samples = file.readframes(file.getnframes())
        return Sound(file.getframerate(), _first_channel(array("h", samples), file.getnchannels()))


def _read_aiff(data: bytes) -> Sound:
    chunks = _aiff_chunks(data)
    common = chunks[b"COMM"]
    channels, _frames, bits = _AIFF_COMMON.unpack_from(common)
    encoding = common[18:22] if data[8:12] == b"AIFC" else b"NONE"
    if bits != _SIXTEEN_BITS or encoding not in {b"NONE", b"twos", b"sowt"}:
        raise ValueError(f"AIFF with {bits} bits a sample, encoding {encoding!r}")
    samples = array("h", chunks[b"SSND"][8:])
    if encoding != b"sowt":
        samples.byteswap()
    return Sound(_extended(common[8:18]), _first_channel(samples, channels))


def _aiff_chunks(data: bytes) -> dict[bytes, bytes]:
    chunks = {}
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, at)
        chunks[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    if not {b"COMM", b"SSND"} <= chunks.keys():
        raise ValueError("AIFF without sound")
    return chunks


def _extended(ten_bytes: bytes) -> int:
    """An 80-bit floating point number, as AIFF writes its rate."""
    exponent, mantissa = struct.unpack(">HQ", ten_bytes)
    return int(mantissa * 2.0 ** (exponent - _EXPONENT_BIAS - _MANTISSA_BITS))


def _first_channel(samples: array[int], channels: int) -> bytes:
    return samples[::channels].tobytes()
