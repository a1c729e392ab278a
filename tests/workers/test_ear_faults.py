"""The ear where the sound system does what it should not, on PulseAudio and on PipeWire."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.ear import (
    GO_FORWARD,
    EarProcess,
    assert_it_hears,
    configuration,
    ear_process,
    has_model,
    write_wav,
)
from support.pipewire import server
from support.pulse import PulseServer, pulse, why_unavailable

from omniid.workers.channel import (
    CancelTake,
    CaptureEnded,
    CaptureOpened,
    StartTake,
    StopTake,
    TakeBegun,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    TranscribeFile,
    WorkerReady,
)

__all__ = ["pulse", "server"]

pytestmark = [
    pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable())),
    pytest.mark.skipif(not has_model(), reason="there is no model (omniid[model])"),
    pytest.mark.skipif(not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"),
]

# The ear says it within three seconds; the rest is for a machine that has other things to do.
TOLD_WITHIN_S = 3.0 + 3.0


@pytest.fixture
def go_forward(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "go.wav", GO_FORWARD.read_bytes())


def assert_it_kept(ear: EarProcess, take_id: str) -> None:
    """The microphone went away in the middle, and what was said before is recognised all the same."""
    assert ear.wait_for(CaptureEnded).cause == "device_lost"
    ending = ear.ending(take_id)
    assert isinstance(ending, TakeRecognised), ending
    assert "go forward" in ending.text.lower()


def assert_it_refuses(ear: EarProcess, take_id: str, code: str) -> None:
    """It says at once that it has begun, and soon what is wrong."""
    asked_at = time.monotonic()
    ear.tell(StartTake(take_id))
    ear.wait_for(TakeBegun, 5.0)
    ending = ear.ending(take_id)
    assert isinstance(ending, TakeFailed), ending
    assert ending.code == code, ending
    assert time.monotonic() - asked_at < TOLD_WITHIN_S


def test_a_microphone_is_pulled_and_comes_back(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(configuration())
        ear.open_take("pulled")
        server.speak(go_forward)
        server.remove_sink("mic")
        assert_it_kept(ear, "pulled")
        assert_it_refuses(ear, "none", "no_microphone")
        server.add_sink("mic")
        server.make_default("mic", "speaker")
        server.keep_warm("mic")
        assert_it_hears(ear, server, go_forward, "replugged")


def test_a_sound_server_dies_and_comes_back(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(configuration())
        ear.open_take("dying")
        server.speak(go_forward)
        server.kill()
        assert_it_kept(ear, "dying")
        assert_it_refuses(ear, "dead", "no_microphone")
        server.start()
        assert_it_hears(ear, server, go_forward, "back")


def test_a_sound_server_that_hangs_when_the_key_goes_down(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(configuration())
        assert_it_hears(ear, server, go_forward, "before")
        server.stop_signal()
        try:
            assert_it_refuses(ear, "hanging", "sound_system_hangs")
            assert ear.process.wait(30) == 75, "it makes room for a fresh one"
        finally:
            server.cont()
    with ear_process(server.env) as fresh:
        fresh.standby(configuration())
        assert_it_hears(fresh, server, go_forward, "after")


@pytest.mark.parametrize("then", [StopTake, CancelTake])
def test_a_tap_while_the_sound_server_hangs(pulse: PulseServer, then: type[StopTake | CancelTake]) -> None:
    with ear_process(pulse.env) as ear:
        ear.standby(configuration())
        ear.open_take("well")
        ear.cancel_take("well")
        pulse.stop_signal()
        try:
            ear.tell(StartTake("tap"))
            ear.tell(then("tap"))
            ending = ear.ending("tap")
            assert ear.process.wait(30) == 75
        finally:
            pulse.cont()
    if then is CancelTake:
        assert ending == TakeEmpty("tap", "cancelled")
    else:
        assert isinstance(ending, TakeFailed)
        assert ending.code == "sound_system_hangs"


def test_a_sound_server_that_hangs_in_the_middle(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(configuration())
        ear.open_take("hanging")
        server.speak(go_forward)
        server.stop_signal()
        try:
            assert_it_kept(ear, "hanging")
            assert ear.process.wait(60) == 75, "only the end of the process closes the microphone"
        finally:
            server.cont()


def test_a_sound_server_that_hangs_before_the_ear_is_there(server: PulseServer, go_forward: Path) -> None:
    server.stop_signal()
    try:
        with ear_process(server.env) as ear:
            ear.wait_for(WorkerReady)
            ear.tell(configuration())
            ear.tell(TranscribeFile("file", str(go_forward)))
            assert isinstance(ear.ending("file"), TakeRecognised), "files need no sound server"
            assert_it_refuses(ear, "live", "sound_system_hangs")
            assert ear.process.wait(30) == 75
        with ear_process(server.env) as ear:
            ear.wait_for(WorkerReady)
            ear.tell(configuration())
            server.cont()
            ear.open_take("t")
            server.speak(go_forward)
            assert isinstance(ear.finish_take("t"), TakeRecognised), "it goes on when the server does"
    finally:
        server.cont()


def test_a_new_default_is_followed_at_the_next_take(server: PulseServer, go_forward: Path) -> None:
    server.add_sink("other")
    server.keep_warm("other")
    with ear_process(server.env) as ear:
        ear.standby(configuration())
        assert_it_hears(ear, server, go_forward, "one")
        server.make_default("other", "speaker")
        assert_it_hears(ear, server, go_forward, "two", into="other")
        devices = [message.device for message in ear.heard if isinstance(message, CaptureOpened)]
        assert len(set(devices)) == 2, devices


def test_a_new_default_in_the_middle_costs_nothing_that_was_said(
    server: PulseServer, go_forward: Path
) -> None:
    server.add_sink("other")
    server.keep_warm("other")
    with ear_process(server.env) as ear:
        ear.standby(configuration())
        ear.open_take("moved")
        server.speak(go_forward)
        server.make_default("other", "speaker")
        server.speak(go_forward, "other")
        ear.tell(StopTake("moved"))
        ending = ear.ending("moved")
        assert isinstance(ending, TakeRecognised)
        assert "go forward" in ending.text.lower()
        ended = next(message for message in ear.heard if isinstance(message, CaptureEnded))
        assert ended.cause == "released"


@pytest.mark.parametrize(
    "form", [("rate=44100", "channels=2"), ("rate=48000", "channels=1"), ("rate=48000", "channels=8")]
)
def test_a_microphone_of_any_rate_and_number_of_channels(
    pulse: PulseServer, go_forward: Path, form: tuple[str, str]
) -> None:
    pulse.pactl("load-module", "module-null-sink", "sink_name=odd", *form)
    pulse.keep_warm("odd")
    with ear_process(pulse.env) as ear:
        ear.standby(configuration(input_device="odd.monitor"))
        assert_it_hears(ear, pulse, go_forward, "odd", into="odd")


def test_a_source_that_never_gives_a_sample(pulse: PulseServer, go_forward: Path) -> None:
    pipe = f"file={pulse.folder / 'pipe'}"
    pulse.pactl("load-module", "module-pipe-source", "source_name=pipe", pipe)
    pulse.pactl("set-default-source", "pipe")
    with ear_process(pulse.env) as ear:
        ear.standby(configuration())
        assert_it_refuses(ear, "silent", "no_microphone")
        pulse.pactl("set-default-source", "mic.monitor")
        assert_it_hears(ear, pulse, go_forward, "heard")


def test_a_named_microphone_goes_and_comes_back(pulse: PulseServer, go_forward: Path) -> None:
    with ear_process(pulse.env) as ear:
        ear.standby(configuration(input_device="headset.monitor"))
        assert_it_refuses(ear, "gone", "device_not_found")
        pulse.add_sink("headset")
        pulse.keep_warm("headset")
        assert_it_hears(ear, pulse, go_forward, "back", into="headset")
        ear.tell(configuration())
        assert_it_hears(ear, pulse, go_forward, "again")
