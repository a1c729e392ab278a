"""The main job with every part the real one: a recording in, words, a WebSocket, a backend, sound out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import flow
from support.field import address, field_server

from omniid.cli.private_daemon import Config, PrivateDaemon


def speak(running: Any) -> dict[str, Any]:
    running.client.call("POST", "/v1/listen/start", {"owner": "test"})
    flow.until(running, "input_file_ended")
    running.client.call("POST", "/v1/listen/stop", {"owner": "test"})
    return flow.until(running, "take_recognised", "take_empty", "take_failed")


def test_a_spoken_command_reaches_the_embedded_backend_and_its_reply_is_spoken(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "microphone.wav")
    speaker = tmp_path / "speaker.wav"
    with flow.daemon(tmp_path, {"audio": {"input_file": recording, "output_file": speaker}}) as running:
        flow.until_ready(running)
        heard = speak(running)
        assert heard["event"] == "take_recognised"
        assert "forward" in heard["text"].lower()
        assert "meters" in heard["text"].lower()
        settled = flow.until(running, "command_settled")
        flow.until(running, "speech_finished")
        command = running.client.call("GET", f"/v1/commands/{settled['command_id']}")
        assert command["type"] == "voice_command"
        assert command["message"] == heard["text"]
        # The embedded backend cannot go anywhere, and says so.
        assert command["state"] == "failed"
        assert "can't" in command["reply"]["content"]
        assert list(command["timings"]) == [
            "pressed",
            "first_sample",
            "released",
            "recognised",
            "committed",
            "written",
            "first_frame",
            "settled",
            "first_sound",
        ]
        assert list(command["timings"].values()) == sorted(command["timings"].values())
        assert flow.loudness(speaker) > 1_000


def test_a_remote_server_is_sent_the_contracts_frame_once(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "microphone.wav")
    answer = {"type": "response", "status": "success", "data": {"message": "Going."}, "timestamp": 1}
    with field_server(answer) as (port, received):
        backend = {"url": address(port), "user_id": "ann b", "timezone": "Europe/Berlin"}
        config: Config = {
            "backend": backend,
            "audio": {"input_file": recording},
            "speech": {"engine": "none"},
        }
        with flow.daemon(tmp_path / "house", config) as running:
            flow.until_ready(running)
            heard = speak(running)
            settled = flow.until(running, "command_settled")
        assert settled["reply"]["content"] == "Going."
        assert settled["reply"]["confidence"] == 95
        ((path, frame),) = received
        assert path == "/ws?userId=ann%20b"
        payload = frame["payload"]
        assert frame["type"] == "command"
        assert payload["commandType"] == "voice_command"
        assert payload["message"] == heard["text"]
        assert payload["userId"] == "ann b"
        assert payload["userTimezone"] == "Europe/Berlin"
        assert payload["requestId"] == settled["command_id"]
        assert payload["metadata"]["confidence"] == pytest.approx(heard["confidence"], abs=0.001)


def test_commands_wait_while_the_backend_is_away_and_go_out_in_order_once(tmp_path: Path) -> None:
    answer = {"type": "response", "status": "success", "data": {"message": "Yes."}, "timestamp": 1}
    with field_server(answer) as (port, _):
        pass  # the port is free again: nobody is there
    config: Config = {
        "backend": {"url": address(port)},
        "speech": {"engine": "none"},
        "session": {"backoff_max_s": 0.5},
    }
    with flow.daemon(tmp_path, config) as running:
        texts = ["one", "two", "three"]
        accepted = [running.client.call("POST", "/v1/commands", {"message": text})["id"] for text in texts]
        waiting = running.client.call("GET", "/v1/outbox")["commands"]
        assert [(item["id"], item["state"]) for item in waiting] == [(id_, "queued") for id_ in accepted]
        with field_server(answer, port) as (_, received):
            for id_ in accepted:
                assert flow.until(running, "command_settled")["command_id"] == id_
        assert [frame["payload"]["message"] for _, frame in received] == texts


def test_a_reply_of_more_than_a_megabyte_is_taken_and_the_daemon_lives(tmp_path: Path) -> None:
    answer = {"type": "response", "status": "success", "data": {"message": "Long. " * 200_000}}
    with field_server(answer) as (port, _):
        config: Config = {
            "backend": {"url": address(port)},
            "audio": {"output_file": tmp_path / "speaker.wav"},
        }
        with flow.daemon(tmp_path / "house", config) as running:
            flow.until_ready(running)
            command = running.client.call("POST", "/v1/commands", {"message": "tell me all", "wait_s": 30})
            assert command["state"] == "done"
            assert len(command["reply"]["content"]) > 200_000  # what is beyond is left out, and said so
            assert running.client.call("DELETE", "/v1/speech") == {"accepted": True}
            assert running.client.call("GET", "/v1/health") == {"ok": True}


def test_what_was_said_is_in_the_history_and_can_be_forgotten(tmp_path: Path) -> None:
    with flow.daemon(tmp_path / "house", {"speech": {"engine": "none"}}) as running:
        flow.until_ready(running)
        running.client.call(
            "POST", "/v1/commands", {"message": "add buy oat milk to my tasks", "wait_s": 60.0}, wait_s=60.0
        )
        found = omniid(running, "history", "--search", "oat", "--json")
        assert "add buy oat milk to my tasks" in [message["text"] for message in json.loads(found)]

        omniid(running, "history", "--clear")
        assert json.loads(omniid(running, "history", "--json")) == []


def omniid(running: PrivateDaemon, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "omniid", *arguments],
        env=flow.environment_of(running),
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=True,
    )
    return done.stdout
