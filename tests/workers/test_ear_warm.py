"""A microphone that stands open between takes, since the user wants the sound before the key."""

from __future__ import annotations

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
from support.pulse import PulseServer, why_unavailable

from omniid.workers.channel import (
    CaptureEnded,
    ConfigureEar,
    KeepMicrophoneShut,
    MicrophoneKept,
    StartTake,
    TakeFailed,
    TakeRecognised,
    WorkerReady,
)

__all__ = ["server"]

pytestmark = [
    pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable())),
    pytest.mark.skipif(not has_model(), reason="there is no model (omniid[model])"),
    pytest.mark.skipif(not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"),
]


@pytest.fixture
def go_forward(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "go.wav", GO_FORWARD.read_bytes())


def warm(**changes: object) -> ConfigureEar:
    return configuration(preroll_ms=400, **changes)


def kept(ear: EarProcess, *, is_open: bool) -> MicrophoneKept:
    """The next word about the microphone; it is as expected."""
    message = ear.wait_for(MicrophoneKept)
    assert message.is_open is is_open
    return message


def listeners(server: PulseServer) -> int:
    return len(server.pactl("list", "short", "source-outputs").splitlines())


def test_it_stands_open_for_take_after_take_and_shuts_on_a_word(
    server: PulseServer, go_forward: Path
) -> None:
    with ear_process(server.env) as ear:
        ear.standby(warm())
        assert kept(ear, is_open=True).device
        assert_it_hears(ear, server, go_forward, "one")
        assert listeners(server) == 1
        assert_it_hears(ear, server, go_forward, "two")
        ear.tell(KeepMicrophoneShut(True))
        kept(ear, is_open=False)
        assert listeners(server) == 0
        ear.tell(StartTake("refused"))
        refused = ear.ending("refused")
        assert isinstance(refused, TakeFailed)
        assert refused.code == "microphone_shut"
        ear.tell(KeepMicrophoneShut(False))
        kept(ear, is_open=True)
        ear.tell(configuration())
        kept(ear, is_open=False)
        assert listeners(server) == 0, "the user has changed the settings"
        assert_it_hears(ear, server, go_forward, "cold")
        assert listeners(server) == 0


def test_it_is_pulled_in_a_take_and_comes_back_by_itself(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(warm())
        kept(ear, is_open=True)
        ear.open_take("pulled")
        server.speak(go_forward)
        server.remove_sink("mic")
        assert ear.wait_for(CaptureEnded).cause == "device_lost"
        assert isinstance(ear.ending("pulled"), TakeRecognised)
        assert not next(m for m in reversed(ear.heard) if isinstance(m, MicrophoneKept)).is_open
        server.add_sink("mic")
        server.make_default("mic", "speaker")
        server.keep_warm("mic")
        kept(ear, is_open=True)
        assert_it_hears(ear, server, go_forward, "replugged")


def test_the_sound_server_dies_and_comes_back(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(warm())
        kept(ear, is_open=True)
        server.kill()
        kept(ear, is_open=False)
        server.start()
        assert_it_hears(ear, server, go_forward, "now")  # a key waits for no retry


def test_a_new_default_is_followed_between_takes(server: PulseServer, go_forward: Path) -> None:
    server.add_sink("other")
    server.keep_warm("other")
    with ear_process(server.env) as ear:
        ear.standby(warm())
        first = kept(ear, is_open=True)
        server.make_default("other", "speaker")
        while (now := ear.wait_for(MicrophoneKept)).device in {first.device, None}:
            pass
        assert now.is_open
        assert_it_hears(ear, server, go_forward, "moved", into="other")


def test_a_hanging_sound_server_is_left_to_a_fresh_ear(server: PulseServer, go_forward: Path) -> None:
    with ear_process(server.env) as ear:
        ear.standby(warm())
        kept(ear, is_open=True)
        server.stop_signal()
        try:
            assert ear.process.wait(30) == 75, "it cannot close the microphone, so its process closes it"
        finally:
            server.cont()
    server.stop_signal()
    try:
        with ear_process(server.env) as ear:
            ear.wait_for(WorkerReady)
            ear.tell(warm())
            server.cont()
            kept(ear, is_open=True)
            assert_it_hears(ear, server, go_forward, "after")
    finally:
        server.cont()
