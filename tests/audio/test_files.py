from __future__ import annotations

import itertools
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from support.ear import write_wav

from omniid.audio.files import FileSource, read_sound, read_take
from omniid.audio.frames import BLOCK_BYTES, BLOCK_S, SILENT_BLOCK
from omniid.errors import AudioError

Sound = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def tone(seconds: float, rate: int = 16_000, channels: int = 1) -> Sound:
    """440 Hz at half of full scale: one row a moment, one column a channel."""
    moments = np.arange(int(seconds * rate)) / rate
    return np.repeat((0.5 * np.sin(2 * np.pi * 440 * moments))[:, None], channels, axis=1)


def riff(form: int, rate: int, channels: int, width: int, data: bytes, *, extensible: bool = False) -> bytes:
    """A WAV with the given format tag: 1 is integers, 3 is floats."""
    fields = np.array([form if not extensible else 0xFFFE, channels], "<u2").tobytes()
    fields += np.array([rate, rate * channels * width], "<u4").tobytes()
    fields += np.array([channels * width, width * 8], "<u2").tobytes()
    if extensible:
        guid = bytes([form, 0]) + bytes.fromhex("000000001000800000aa00389b71")
        fields += np.array([22, width * 8], "<u2").tobytes() + bytes(4) + guid
    head = b"fmt " + len(fields).to_bytes(4, "little") + fields
    body = b"WAVE" + head + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def as_integers(sound: Sound, width: int) -> bytes:
    if width == 1:
        return (sound * 127 + 128).astype(np.uint8).tobytes()
    wide = (sound * (2**31 - 1)).astype("<i4")
    return wide.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, 4 - width :].tobytes()


FORMS = {
    "8 bit": lambda: riff(1, 8_000, 1, 1, as_integers(tone(1, 8_000), 1)),
    "16 bit 44.1 kHz stereo": lambda: riff(1, 44_100, 2, 2, as_integers(tone(1, 44_100, 2), 2)),
    "24 bit 48 kHz": lambda: riff(1, 48_000, 1, 3, as_integers(tone(1, 48_000), 3)),
    "32 bit": lambda: riff(1, 16_000, 1, 4, as_integers(tone(1), 4)),
    "extensible 24 bit, six channels": lambda: riff(
        1, 48_000, 6, 3, as_integers(tone(1, 48_000, 6), 3), extensible=True
    ),
    "float": lambda: riff(3, 22_050, 1, 4, tone(1, 22_050).astype("<f4").tobytes()),
    "extensible float, stereo": lambda: riff(
        3, 44_100, 2, 4, tone(1, 44_100, 2).astype("<f4").tobytes(), extensible=True
    ),
    "double": lambda: riff(3, 16_000, 1, 8, tone(1).astype("<f8").tobytes()),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_wav_becomes_16_khz_mono(tmp_path: Path, form: str) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(FORMS[form]())
    heard = np.frombuffer(read_take(str(path), 10), "<i2").astype(float)
    assert len(heard) == pytest.approx(16_000, abs=40)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 16_000 / len(heard) == pytest.approx(440, abs=2)
    assert np.sqrt((heard**2).mean()) == pytest.approx(0.5 * 32_768 / np.sqrt(2), rel=0.35)


def test_a_writer_to_a_pipe_does_not_know_the_length(tmp_path: Path) -> None:
    whole = riff(1, 16_000, 1, 2, as_integers(tone(1), 2))
    for unknown in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"):
        path = tmp_path / "pipe.wav"
        path.write_bytes(whole[:4] + unknown + whole[8:40] + unknown + whole[44:])
        assert len(read_take(str(path), 10)) == 32_000


def no_sound_files(folder: Path) -> dict[str, tuple[str, str]]:
    """Bad files: path, expected code, by what is wrong."""
    whole = riff(1, 16_000, 1, 2, as_integers(tone(1), 2))
    contents = {
        "empty": (b"", "sound_file_empty"),
        "text": (b"Dear diary\n" * 100, "sound_file_unreadable"),
        "playlist": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "sound_file_unreadable"),
        "no samples": (riff(1, 16_000, 1, 2, b""), "sound_file_empty"),
        "cut in the header": (whole[:30], "sound_file_unreadable"),
        "cut in the sound": (whole[:20_000], "sound_file_unreadable"),
        "unknown form": (riff(0x7777, 16_000, 1, 2, bytes(3200)), "sound_file_unreadable"),
        "zero rate": (riff(1, 0, 1, 2, bytes(3200)), "sound_file_unreadable"),
    }
    cases = {
        "missing": (str(folder / "missing.wav"), "sound_file_missing"),
        "folder": (str(folder), "sound_file_missing"),
    }
    for name, (content, code) in contents.items():
        path = folder / f"{name}.wav"
        path.write_bytes(content)
        cases[name] = (str(path), code)
    return cases


@pytest.mark.parametrize(
    "case",
    [
        "missing",
        "folder",
        "empty",
        "text",
        "playlist",
        "no samples",
        "cut in the header",
        "cut in the sound",
        "unknown form",
        "zero rate",
    ],
)
def test_a_bad_file_is_one_clear_sentence(tmp_path: Path, case: str) -> None:
    path, code = no_sound_files(tmp_path)[case]
    with pytest.raises(AudioError) as caught:
        read_take(path, 60)
    assert caught.value.code == code
    assert path in caught.value.message
    assert "\n" not in caught.value.message


def test_a_take_may_not_be_longer_than_the_cap(tmp_path: Path) -> None:
    path = str(write_wav(tmp_path / "long.wav", bytes(32_000 * 3)))
    assert len(read_take(path, 3.0)) == 96_000
    with pytest.raises(AudioError, match=r"3\.0 s long.*2\.5 s.*audio\.max_take_s to 4") as caught:
        read_take(path, 2.5)
    assert caught.value.code == "sound_file_too_long"


def test_an_hour_is_not_read_to_give_its_first_second(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        for _ in range(60):
            file.writeframes(bytes(32_000 * 60))
    began = time.perf_counter()
    sound = read_sound(str(path))
    assert sum(len(piece) for piece in itertools.islice(sound, 10)) > 0
    sound.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - began < 5


def test_a_file_at_full_speed_is_ahead_until_its_end(tmp_path: Path) -> None:
    pcm = bytes(range(1, 251)) * 10
    source = FileSource(str(write_wav(tmp_path / "f.wav", pcm)), 0)
    source.open()
    given = b""
    while source.is_ahead:
        block = source.read(1.0)
        assert block is not None
        assert len(block.pcm) == BLOCK_BYTES
        given += block.pcm
    assert given.startswith(pcm)
    assert not given[len(pcm) :].strip(b"\0")
    assert source.file_ended
    assert source.close(1.0)


def test_a_file_at_a_microphones_pace_takes_its_time(tmp_path: Path) -> None:
    source = FileSource(str(write_wav(tmp_path / "f.wav", b"\1" * BLOCK_BYTES * 10)), 1)
    source.open()
    began = time.monotonic()
    blocks = [source.read(1.0) for _ in range(11)]
    assert time.monotonic() - began >= 10 * BLOCK_S * 0.9
    assert blocks[10] is not None
    assert blocks[10].pcm == SILENT_BLOCK
    assert source.file_ended
    assert source.read(0.0) is None, "silence too comes in real time"
