from __future__ import annotations

import struct
import wave
from array import array
from pathlib import Path

import pytest

from omniid.errors import SpeechError
from omniid.speech.sound_file import read_sound
from omniid.speech.synthesizer import Sound

SAMPLES = array("h", [0, 1, -1, 32767, -32768, 256])
RATE_22050 = bytes.fromhex("400dac44000000000000")
RATE_44100 = bytes.fromhex("400eac44000000000000")


def write_wav(path: Path, samples: bytes, *, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(22_050)
        file.writeframes(samples)
    return path


def write_aiff(
    path: Path, samples: bytes, *, rate: bytes = RATE_22050, bits: int = 16, encoding: bytes = b""
) -> Path:
    common = struct.pack(">hIh", 1, len(samples) // 2, bits) + rate + encoding
    chunks = [(b"COMM", common), (b"SSND", bytes(8) + samples), (b"ODD ", b"x")]
    body = b"".join(
        name + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks[::-1]
    )
    kind = b"AIFC" if encoding else b"AIFF"
    path.write_bytes(b"FORM" + struct.pack(">I", 4 + len(body)) + kind + body)
    return path


def swapped(samples: array[int]) -> bytes:
    other = array("h", samples)
    other.byteswap()
    return other.tobytes()


def test_reads_what_espeak_writes(tmp_path: Path) -> None:
    sound = read_sound(write_wav(tmp_path / "a.wav", SAMPLES.tobytes()))
    assert sound == Sound(22_050, SAMPLES.tobytes())
    assert sound.duration_s == pytest.approx(6 / 22_050)


def test_takes_the_first_channel(tmp_path: Path) -> None:
    sound = read_sound(write_wav(tmp_path / "a.wav", SAMPLES.tobytes(), channels=2))
    assert array("h", sound.samples) == SAMPLES[::2]


@pytest.mark.parametrize(("rate", "hertz"), [(RATE_22050, 22_050), (RATE_44100, 44_100)])
@pytest.mark.parametrize("encoding", [b"", b"NONE", b"sowt"])
def test_reads_what_macos_writes(tmp_path: Path, rate: bytes, hertz: int, encoding: bytes) -> None:
    data = SAMPLES.tobytes() if encoding == b"sowt" else swapped(SAMPLES)
    assert read_sound(write_aiff(tmp_path / "a.wav", data, rate=rate, encoding=encoding)) == Sound(
        hertz, SAMPLES.tobytes()
    )


def test_what_cannot_be_read_is_one_kind_of_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "junk").write_bytes(b"RIFF, or is it?")
    (tmp_path / "cut").write_bytes(b"FORM\0\0\0\0AIFF")
    write_wav(tmp_path / "wide", bytes(6), width=3)
    write_aiff(tmp_path / "narrow", bytes(6), bits=8)
    write_aiff(tmp_path / "squeezed", bytes(6), encoding=b"ulaw")
    for name in ("missing", "empty", "junk", "cut", "wide", "narrow", "squeezed"):
        with pytest.raises(SpeechError, match="no sound that can be read"):
            read_sound(tmp_path / name)


def test_volume_scales_the_samples() -> None:
    sound = Sound(8_000, SAMPLES.tobytes())
    assert sound.at_volume(1.0) is sound
    assert array("h", sound.at_volume(0.5).samples).tolist() == [0, 0, 0, 16383, -16384, 128]
    assert array("h", sound.at_volume(0.0).samples).tolist() == [0] * 6
