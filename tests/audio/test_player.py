"""The players themselves. The one on the sound card is heard in tests/workers/test_mouth.py."""

from __future__ import annotations

import os
import threading
import wave
from array import array
from pathlib import Path

import pytest

from omniid.audio.player import SoundCardPlayer, make_player
from omniid.audio.wav_file import WavFilePlayer
from omniid.errors import AudioError

NEVER = threading.Event()


def block(value: int) -> bytes:
    return array("h", [value] * 160).tobytes()


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def said(path: Path) -> tuple[int, list[int]]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getnframes() * 2 + 44 == path.stat().st_size
        return file.getframerate(), array("h", file.readframes(file.getnframes())).tolist()


def speak(player: WavFilePlayer, *values: int, rate: int = 8_000) -> None:
    player.open(rate)
    for value in values:
        player.write(block(value), NEVER)
    player.finish(NEVER)


def test_the_settings_choose_the_player(tmp_path: Path) -> None:
    assert isinstance(make_player("ignored", str(tmp_path / "x.wav")), WavFilePlayer)
    assert isinstance(make_player(None, None), SoundCardPlayer)


def test_each_utterance_is_appended_to_a_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "said.wav"
    player = WavFilePlayer(path)
    player.prepare()
    assert not path.parent.exists()
    speak(player, 1, 2)
    assert said(path) == (8_000, [1] * 160 + [2] * 160)
    speak(WavFilePlayer(path), 3)
    assert said(path) == (8_000, [1] * 160 + [2] * 160 + [3] * 160)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_an_aborted_utterance_leaves_what_was_said_of_it(tmp_path: Path) -> None:
    player = WavFilePlayer(tmp_path / "said.wav")
    player.open(8_000)
    player.write(block(1), NEVER)
    player.abort()
    player.abort()
    assert said(tmp_path / "said.wav") == (8_000, [1] * 160)


def test_the_tail_of_an_interrupted_run_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    speak(WavFilePlayer(path), 1)
    with path.open("ab") as file:
        file.write(block(9))
    speak(WavFilePlayer(path), 2)
    assert said(path) == (8_000, [1] * 160 + [2] * 160)


@pytest.mark.parametrize(
    "content", [b"RIFF", b"my precious notes, which are no sound at all and longer than 44 bytes"]
)
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match="is no mono 16-bit sound file of 8000 Hz") as raised:
        WavFilePlayer(path).open(8_000)
    assert raised.value.code == "output_file_unusable"
    assert path.read_bytes() == content


def test_a_file_of_another_rate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    speak(WavFilePlayer(path), 1, rate=16_000)
    before = path.read_bytes()
    with pytest.raises(AudioError, match="8000 Hz"):
        WavFilePlayer(path).open(8_000)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match="cannot be written") as raised:
        WavFilePlayer(tmp_path / "file" / "said.wav").open(8_000)
    assert raised.value.code == "output_file_unusable"
    with pytest.raises(AudioError):
        WavFilePlayer(tmp_path / "file").write(block(1), NEVER)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_clear_error_and_leaks_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    before = open_descriptors()
    player = WavFilePlayer(path)
    player.open(8_000)
    assert player._file is not None
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, player._file.fileno())
    os.close(full)
    with pytest.raises(AudioError, match="No space left"):
        speak_on(player)
    assert open_descriptors() <= before  # an earlier test may let go of one just now


def speak_on(player: WavFilePlayer) -> None:
    """Either call may be the one that notices."""
    player.write(block(1), NEVER)
    player.finish(NEVER)
