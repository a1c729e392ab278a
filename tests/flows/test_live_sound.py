"""The main job through a sound server: speech into a virtual microphone, a reply out of a speaker."""

from __future__ import annotations

from pathlib import Path

from support import flow
from support.pulse import PulseServer, pulse  # noqa: F401 pytest finds the fixture by its name


def test_speech_into_the_microphone_comes_back_as_speech(
    pulse: PulseServer,  # noqa: F811 the fixture
    tmp_path: Path,
) -> None:
    recording = flow.human_speech(tmp_path / "speech.wav")
    with flow.daemon(tmp_path / "house", {}, **pulse.env) as running:
        flow.until_ready(running)
        flow.until_ear(running)
        with pulse.record() as heard:
            running.client.call("POST", "/v1/listen/start", {"owner": "test"})
            flow.until(running, "capture_opened")
            assert running.status()["capture"] == "listening"
            pulse.speak(recording)
            running.client.call("POST", "/v1/listen/stop", {"owner": "test"})
            taken = flow.until(running, "take_recognised", "take_empty", "take_failed")
            assert taken["event"] == "take_recognised"
            assert "forward" in taken["text"].lower()
            flow.until(running, "command_settled")
            flow.until(running, "speech_finished")
        assert running.status()["capture"] == "idle"
        assert flow.loudness(heard) > 1_000


def test_the_key_silences_the_voice(pulse: PulseServer, tmp_path: Path) -> None:  # noqa: F811 the fixture
    with flow.daemon(tmp_path / "house", {}, **pulse.env) as running:
        flow.until_ear(running)
        running.client.call("POST", "/v1/speech", {"text": "One, two, three, four, five. " * 20})
        flow.until(running, "speech_started")
        running.client.call("POST", "/v1/listen/start", {"owner": "test"})
        assert flow.until(running, "speech_finished", "speech_failed")["cause"] == "stopped"
        running.client.call("POST", "/v1/listen/cancel", {"owner": "test"})
        assert flow.until(running, "take_empty")["reason"] == "cancelled"
