"""From the key's edges to a command, through a real daemon: doubts, modes, and ears that hang or die."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import flow

from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.errors import EXIT_REFUSED, OmniidError

SILENT: Config = {"speech": {"engine": "none"}}


def house(folder: Path, recording: Path, **sections: dict[str, Any]) -> PrivateDaemon:
    audio = {"input_file": recording, **sections.pop("audio", {})}
    return flow.daemon(folder / "house", {**SILENT, "audio": audio, **sections})


def listen(running: PrivateDaemon, edge: str, owner: str = "test") -> dict[str, Any]:
    return running.client.call("POST", f"/v1/listen/{edge}", {"owner": owner})


def say_all(running: PrivateDaemon) -> None:
    """Hold the key until the recording that stands in for the microphone has been heard."""
    listen(running, "start")
    flow.until(running, "input_file_ended")
    listen(running, "stop")


def takes(running: PrivateDaemon) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = running.client.call("GET", "/v1/takes")["takes"]
    return kept


def ear_pid(running: PrivateDaemon) -> int:
    flow.until_ear(running)
    return int(running.status()["workers"]["ear"]["pid"])


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return flow.human_speech(tmp_path / "take.wav")


# --- ears that go -------------------------------------------------------------------------------------------


def test_an_ear_that_hangs_when_the_key_goes_down_is_replaced_under_the_held_key(
    tmp_path: Path, speech: Path
) -> None:
    with house(tmp_path, speech) as running:
        hung = ear_pid(running)
        os.kill(hung, signal.SIGSTOP)
        listen(running, "start")
        flow.until(running, "capture_opened")
        flow.until(running, "input_file_ended")
        listen(running, "stop")

        asked = flow.until(running, "confirmation_asked", "command_queued")
        assert (asked["event"], asked["why"]) == (
            "confirmation_asked",
            "cut_short",
        )  # it may lack its beginning
        assert "forward" in asked["text"].lower()
        assert ear_pid(running) != hung


def test_an_ear_that_dies_in_mid_sentence_keeps_what_was_said_and_asks(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech) as running:
        pid = ear_pid(running)
        listen(running, "start")
        flow.until(running, "input_file_ended")
        os.kill(pid, signal.SIGKILL)

        asked = flow.until(running, "confirmation_asked", "command_queued")
        assert (asked["event"], asked["why"]) == ("confirmation_asked", "cut_short")
        (question,) = running.client.call("GET", "/v1/questions")["questions"]
        assert "forward" in question["text"].lower()
        running.client.call("POST", f"/v1/questions/{question['id']}", {"accept": True})
        assert "forward" in flow.until(running, "command_queued")["message"].lower()


def test_an_ear_that_hangs_after_the_release_costs_one_retry(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech) as running:
        pid = ear_pid(running)
        listen(running, "start")
        flow.until(running, "input_file_ended")
        os.kill(pid, signal.SIGSTOP)
        listen(running, "stop")

        heard = flow.until(running, "command_queued", "confirmation_asked")
        assert heard["event"] == "command_queued"
        assert "forward" in heard["message"].lower()
        assert not flow.is_alive(pid)


# --- doubts -------------------------------------------------------------------------------------------------


def test_unsure_words_are_asked_about_and_a_tap_sends_them(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech, recognition={"accept": 1.0}) as running:
        say_all(running)
        flow.until(running, "confirmation_asked")
        assert running.status()["headline"] == "asking you"
        listen(running, "start")
        listen(running, "stop")

        assert flow.until(running, "confirmation_answered")["by"] == "tap"
        assert "forward" in flow.until(running, "command_queued")["message"].lower()


def test_a_cancel_drops_what_is_asked_about(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech, recognition={"accept": 1.0}) as running:
        say_all(running)
        flow.until(running, "confirmation_asked")
        listen(running, "cancel")

        assert not flow.until(running, "confirmation_answered")["accepted"]
        assert running.client.call("GET", "/v1/outbox?all=1")["commands"] == []
        assert takes(running) == []


# --- what is kept -------------------------------------------------------------------------------------------


def test_a_take_is_kept_privately_until_its_command_is_on_its_way(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech) as running:
        flow.until_ready(running)
        listen(running, "start")
        flow.until(running, "input_file_ended")
        folder = tmp_path / "house" / "run" / "takes"
        (path,) = folder.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        listen(running, "stop")
        flow.until(running, "command_written")
        flow.until(running, "command_settled")

        assert list(folder.iterdir()) == []


def test_what_could_not_be_made_out_can_be_tried_again_and_dropped(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech, recognition={"accept": 1.0, "reject": 1.0}) as running:
        say_all(running)
        assert flow.until(running, "take_empty")["reason"] == "unsure"
        (take,) = takes(running)
        assert take["duration_s"] > 1.0
        running.client.call("POST", "/v1/takes/last/retry", {})
        again = flow.until(running, "take_empty")
        assert (again["take_id"], again["reason"]) == (take["id"], "unsure")

        running.client.call("POST", f"/v1/takes/{take['id']}/drop")
        assert takes(running) == []
        with pytest.raises(OmniidError, match="take list"):
            running.client.call("POST", "/v1/takes/last/retry", {})


def test_what_was_said_before_a_kill_is_there_for_the_next_run(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech) as running:
        ear = ear_pid(running)
        listen(running, "start")
        flow.until(running, "input_file_ended")
        os.kill(ear, signal.SIGSTOP)  # so that it cannot be recognised before
        listen(running, "stop")
        (path,) = (tmp_path / "house" / "run" / "takes").iterdir()
        assert running.process is not None
        running.process.kill()
        running.process.wait()
        os.kill(ear, signal.SIGKILL)

    with house(tmp_path, speech) as running:
        flow.until_ready(running)
        (take,) = takes(running)
        assert take["id"] == path.stem
        running.client.call("POST", "/v1/takes/last/retry", {})
        asked = flow.until(running, "confirmation_asked")
        assert "forward" in asked["text"].lower()
        assert asked["why"] == "cut_short"
        running.client.call("POST", f"/v1/questions/{take['id']}", {"accept": True})
        flow.until(running, "command_settled")
        assert takes(running) == []


def test_what_has_become_a_command_before_a_kill_is_no_take_any_more(tmp_path: Path, speech: Path) -> None:
    nobody = {"url": "ws://127.0.0.1:9/ws"}
    with house(tmp_path, speech, backend=nobody) as running:
        say_all(running)
        queued = flow.until(running, "command_queued")
        folder = tmp_path / "house" / "run" / "takes"
        assert [path.stem for path in folder.iterdir()] == [queued["take_id"]]
        assert running.process is not None
        running.process.kill()
        running.process.wait()

    with house(tmp_path, speech, backend=nobody) as running:
        assert list(folder.iterdir()) == []
        (command,) = running.client.call("GET", "/v1/outbox")["commands"]
        assert command["id"] == queued["command_id"]


# --- modes --------------------------------------------------------------------------------------------------


def test_silence_ends_a_take_that_no_key_holds(tmp_path: Path) -> None:
    speech = flow.HUMAN.read_bytes()
    recording = flow.write_wav(tmp_path / "take.wav", speech + bytes(2 * 16_000 * 20))
    with house(tmp_path, recording, audio={"end_silence_ms": 700}) as running:
        listen(running, "toggle")

        assert flow.until(running, "capture_ended")["cause"] == "silence"
        assert "forward" in flow.until(running, "command_queued")["message"].lower()


# --- a microphone that is kept shut -------------------------------------------------------------------------


def test_a_microphone_that_is_kept_shut_stays_so_over_a_restart(tmp_path: Path, speech: Path) -> None:
    with house(tmp_path, speech) as running:
        running.client.call("POST", "/v1/listen/disable")
        with pytest.raises(OmniidError, match="omniid listen enable") as refused:
            listen(running, "start")
        assert refused.value.exit_code == EXIT_REFUSED
    with house(tmp_path, speech) as running:
        assert running.status()["microphone"] == "kept shut"
        running.client.call("POST", "/v1/listen/enable")
        say_all(running)
        assert "forward" in flow.until(running, "command_queued")["message"].lower()
    assert not list((tmp_path / "house" / "state").rglob("microphone-shut"))


# --- in the terminal ----------------------------------------------------------------------------------------


def test_a_command_is_taken_and_answered_in_the_terminal(tmp_path: Path) -> None:
    recording = flow.write_wav(tmp_path / "take.wav", flow.HUMAN.read_bytes() + bytes(2 * 16_000 * 20))
    with house(tmp_path, recording, audio={"end_silence_ms": 700}) as running:
        flow.until_ready(running)
        shown = subprocess.run(
            [sys.executable, "-m", "omniid", "listen", "--show"],
            env=flow.environment_of(running),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=flow.WITHIN_S,
            check=False,
        )
        queued = flow.until(running, "command_queued")
    heard, answer = shown.stdout.splitlines()[:2]
    assert heard == queued["message"]
    assert "can't help with that" in answer
    assert queued["command_id"] in shown.stderr
    assert shown.returncode == 1  # the embedded backend cannot do that, and says so


def test_what_omniid_has_just_said_itself_is_asked_about_before_it_is_done(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "microphone.wav")
    config: Config = {"audio": {"input_file": recording, "output_file": tmp_path / "speaker.wav"}}
    with flow.daemon(tmp_path, config) as running:
        flow.until_ready(running)
        flow.until_ear(running)
        much_more = " After that you turn left, look around, and wait for what comes." * 30
        running.client.call("POST", "/v1/speech", {"text": f"You can go forward ten meters.{much_more}"})
        flow.until(running, "speech_started")

        running.client.call("POST", "/v1/listen/start", {"owner": "test"})
        flow.until(running, "input_file_ended")
        running.client.call("POST", "/v1/listen/stop", {"owner": "test"})

        asked = flow.until(running, "confirmation_asked", "command_queued", "take_empty", "take_failed")
        assert (asked["event"], asked.get("why")) == ("confirmation_asked", "echo")
