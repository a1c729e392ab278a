"""Cues through a real sound server: when they are heard, and when not."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.ear import GO_FORWARD, EarProcess, configuration, ear_process, has_model, write_wav
from support.pulse import PulseServer, pulse, why_unavailable

from omniid.workers.channel import PlayCue, StartTake, TakeBegun, TakeEmpty, TakeRecognised

__all__ = ["pulse"]

pytestmark = [
    pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable())),
    pytest.mark.skipif(not has_model(), reason="there is no model (omniid[model])"),
    pytest.mark.skipif(not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"),
]

RATE = 16_000
LISTENING, DONE, LOW = (660, 990), (990, 660), (330,)


@pytest.fixture
def ear(pulse: PulseServer) -> Iterator[EarProcess]:
    with ear_process(pulse.env) as process:
        process.standby(configuration())
        yield process


def tones(path: Path) -> list[int]:
    """The pitches of the tones in a recording, in their order; nothing for silence and for speech.

    A piece that is loud only in part is an edge, and an edge has other pitches than its tone.
    """
    with wave.open(str(path), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    heard: list[int] = []
    for start in range(0, len(sound) - 320, 32):
        piece = sound[start : start + 320]
        loudness = np.abs(piece).reshape(4, 80).max(axis=1)
        if loudness.max() < 1_000:
            heard.append(0)
        if loudness.min() < 1_000:
            continue
        pitch = 4 * int(np.argmax(np.abs(np.fft.rfft(piece * np.hanning(320), RATE // 4))))
        nearest = min((220, 330, 520, 660, 990), key=lambda known: abs(known - pitch))
        if abs(nearest - pitch) < 40 and (not heard or heard[-1] != nearest):
            heard.append(nearest)
    return [pitch for pitch in heard if pitch]


def test_a_take_begins_and_ends_with_a_cue(ear: EarProcess, pulse: PulseServer, tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "go.wav", GO_FORWARD.read_bytes())
    with pulse.record() as heard:
        ear.open_take("t")
        pulse.speak(sound)
        assert isinstance(ear.finish_take("t"), TakeRecognised)
        pulse.wait_for_quiet()
    assert tones(heard) == [*LISTENING, *DONE]


def test_there_is_no_cue_before_the_microphone_has_given_a_sound(ear: EarProcess, pulse: PulseServer) -> None:
    pulse.pactl("suspend-sink", "mic", "1")
    with pulse.record() as before:
        ear.tell(StartTake("t"))
        ear.wait_for(TakeBegun)
        assert ear.is_silent_for(0.5)
    with pulse.record() as after:
        pulse.pactl("suspend-sink", "mic", "0")
        ear.wait_for_opened("t")
        ear.cancel_take("t")
        pulse.wait_for_quiet()
    assert tones(before) == []
    assert tones(after)[:2] == [*LISTENING]


def test_nothing_heard_sounds_low(ear: EarProcess, pulse: PulseServer) -> None:
    with pulse.record() as heard:
        ear.open_take("t")
        ear.cancel_take("t")
        pulse.wait_for_quiet()
    assert tones(heard) == [*LISTENING, *LOW]


def test_a_failed_take_sounds_wrong(ear: EarProcess, pulse: PulseServer) -> None:
    ear.tell(configuration(input_device="nobody has this"))
    with pulse.record() as heard:
        ear.tell(StartTake("t"))
        ear.ending("t")
        pulse.wait_for_quiet()
    assert tones(heard) == [220, 220]


def test_the_daemon_can_ask_for_one_and_the_user_for_none(ear: EarProcess, pulse: PulseServer) -> None:
    with pulse.record() as heard:
        ear.tell(PlayCue("waiting"))
        pulse.wait_for_quiet()
    assert tones(heard) == [520, 520]
    ear.tell(configuration(cues=False))
    with pulse.record() as heard:
        ear.tell(PlayCue("waiting"))
        ear.open_take("t")
        ear.cancel_take("t")
        pulse.wait_for_quiet()
    assert tones(heard) == []


def test_a_cue_goes_to_the_speaker_that_was_chosen(ear: EarProcess, pulse: PulseServer) -> None:
    pulse.add_sink("headset")
    pulse.keep_warm("headset")
    ear.tell(configuration(output_device="headset"))
    with pulse.record("headset.monitor") as heard:
        ear.tell(PlayCue("waiting"))
        pulse.wait_for_quiet("headset.monitor")
    assert tones(heard) == [520, 520]


def test_a_microphone_that_hears_the_cues_hears_no_words_in_them(
    ear: EarProcess, pulse: PulseServer, tmp_path: Path
) -> None:
    pulse.pactl("load-module", "module-loopback", "source=speaker.monitor", "sink=mic", "latency_msec=20")
    ear.open_take("empty")
    pulse.wait_for_quiet()
    for _ in range(3):
        ear.tell(PlayCue("error"))
        pulse.wait_for_quiet()
    assert isinstance(ear.finish_take("empty"), TakeEmpty)
    ear.open_take("words")
    pulse.speak(write_wav(tmp_path / "go.wav", GO_FORWARD.read_bytes()))
    ending = ear.finish_take("words")
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()


def test_a_muted_microphone_is_told_from_the_first_moment(ear: EarProcess, pulse: PulseServer) -> None:
    pulse.pactl("set-source-mute", "mic.monitor", "1")
    with pulse.record() as heard:
        ear.open_take("t")
        ear.cancel_take("t")
        pulse.wait_for_quiet()
    assert tones(heard)[0] == 220
