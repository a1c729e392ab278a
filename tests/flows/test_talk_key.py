"""A real key on a real X server, through a real daemon, to a command."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import flow
from support.xvfb import Xvfb, xvfb  # noqa: F401 the fixture

from omniid.cli.private_daemon import Config, PrivateDaemon

WITHIN_S = 120


def house(folder: Path, server: Xvfb, hotkey: dict[str, Any], recording: Path) -> PrivateDaemon:
    config: Config = {
        "speech": {"engine": "none"},
        "audio": {"input_file": recording},
        "hotkey": {"backend": "auto", "key": "f9", **hotkey},
    }
    session = {"DISPLAY": server.display, "WAYLAND_DISPLAY": "", "XDG_SESSION_TYPE": "x11"}
    return flow.daemon(folder / "house", config, **session)


def keys(server: Xvfb, *words: str) -> None:
    asyncio.run(server.keys(*words))


def until_live(running: PrivateDaemon) -> None:
    while running.status()["hotkey"]["backend"] is None:
        flow.until(running, "hotkey_changed", "snapshot")


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return flow.human_speech(tmp_path / "take.wav")


def test_hold_speak_let_go(tmp_path: Path, xvfb: Xvfb, speech: Path) -> None:  # noqa: F811 the fixture
    with house(tmp_path, xvfb, {}, speech) as running:
        until_live(running)
        assert running.status()["hotkey"] == {"backend": "x11", "sees_releases": True, "note": None}
        keys(xvfb, "keydown", "F9")
        flow.until(running, "input_file_ended")
        keys(xvfb, "keyup", "F9")

        assert "forward" in flow.until(running, "command_queued")["message"].lower()


def test_a_tap_in_hybrid_mode_latches_and_the_next_one_ends_it(
    tmp_path: Path,
    xvfb: Xvfb,  # noqa: F811 the fixture
    speech: Path,
) -> None:
    with house(tmp_path, xvfb, {"mode": "hybrid"}, speech) as running:
        until_live(running)
        keys(xvfb, "key", "F9")
        flow.until(running, "input_file_ended")
        assert running.status()["capture"] == "listening"
        keys(xvfb, "key", "F9")

        assert "forward" in flow.until(running, "command_queued")["message"].lower()


def test_a_key_that_is_held_when_its_server_dies_ends_the_take_and_what_was_said_is_asked_about(
    tmp_path: Path,
    xvfb: Xvfb,  # noqa: F811 the fixture
    speech: Path,
) -> None:
    with house(tmp_path, xvfb, {}, speech) as running:
        until_live(running)
        keys(xvfb, "keydown", "F9")
        flow.until(running, "input_file_ended")
        xvfb.kill()

        assert flow.until(running, "key_lost")["reason"] == "server_gone"
        assert "forward" in flow.until(running, "confirmation_asked")["text"].lower()
        while running.status()["hotkey"]["backend"] is not None:
            flow.until(running, "hotkey_changed")
        assert "omniid listen start" in running.status()["problems"]["hotkey"]


def test_a_profiles_key_and_the_cancel_key(tmp_path: Path, xvfb: Xvfb, speech: Path) -> None:  # noqa: F811 the fixture
    profile = {"name": "quiet", "key": "f8", "speak": False, "language": "en"}
    with house(tmp_path, xvfb, {"cancel_key": "f7", "profiles": [profile]}, speech) as running:
        until_live(running)
        keys(xvfb, "keydown", "F8")
        flow.until(running, "capture_opened")
        keys(xvfb, "key", "F7")
        assert flow.until(running, "capture_ended")["cause"] == "cancelled"
        keys(xvfb, "keyup", "F8")
        flow.until(running, "key_released")  # a key that is down again at once was never let go
        keys(xvfb, "keydown", "F8")
        flow.until(running, "input_file_ended")
        keys(xvfb, "keyup", "F8")

        queued = flow.until(running, "command_queued")
        command = running.client.call("GET", f"/v1/commands/{queued['command_id']}")
        assert command["metadata"]["profile"] == "quiet"


def test_doctor_proves_the_key_with_a_finger(tmp_path: Path, xvfb: Xvfb, speech: Path) -> None:  # noqa: F811 the fixture
    with house(tmp_path, xvfb, {}, speech) as running:
        until_live(running)
        command = [sys.executable, "-m", "omniid", "doctor", "--key"]
        environment = flow.environment_of(running)
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as doctor:
            assert doctor.stderr is not None
            assert "Hold your key" in doctor.stderr.readline()
            while doctor.poll() is None:
                keys(xvfb, "keydown", "F9", "sleep", "0.3", "keyup", "F9", "sleep", "0.3")
            assert doctor.stdout is not None
            assert doctor.stdout.read().split() == [
                "ok",
                "key",
                "x11",
                "sees",
                "the",
                "press",
                "and",
                "the",
                "release",
            ]
        assert doctor.returncode == 0
        assert running.client.call("GET", "/v1/outbox?all=1")["commands"] == []
