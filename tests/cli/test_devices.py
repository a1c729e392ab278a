"""`omniid devices`: the real command, with and without a sound server."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from support.ear import write_wav
from support.flow import is_alive
from support.pipewire import server
from support.pulse import PulseServer, pulse

__all__ = ["pulse", "server"]

COMMAND = [sys.executable, "-m", "omniid", "devices"]
WITHIN_S = 60.0
_Seen = TypeVar("_Seen")
NO_SERVER = {"PULSE_SERVER": "unix:/nowhere"}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def run(env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, **env}
    return subprocess.run(
        [*COMMAND, *options], env=everything, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def wait_for(look: Callable[[], _Seen | None], what: str) -> _Seen:
    """What `look` sees, once it sees something."""
    deadline = time.monotonic() + WITHIN_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {WITHIN_S:.0f} s in vain until {what}"
        time.sleep(0.02)
    return seen


def hanging_probe(parent: int) -> int | None:
    """The pid of the child that has a connection of its own, besides what it was given."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split():
        for descriptor in Path(f"/proc/{child}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if int(descriptor.name) > 2 and str(descriptor.readlink()).startswith("socket:"):
                    return int(child)
    return None


@contextlib.contextmanager
def hum(sound_server: PulseServer, folder: Path) -> Iterator[None]:
    """A tone at a tenth of full scale on the microphone."""
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000 * 30) / 16_000)
    sound = write_wav(folder / "hum.wav", (tone * 32_767).astype("<i2").tobytes())
    player = sound_server.start_speaking(sound)
    try:
        yield
    finally:
        player.kill()
        player.wait()


def test_devices_of_a_sound_server_by_the_names_it_has(server: PulseServer, folders: dict[str, str]) -> None:
    env = server.env | folders | {"OMNIID_AUDIO__INPUT_DEVICE": "mic.monitor"}
    server.pactl("set-source-mute", "mic.monitor", "1")
    done = run(env, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problem"] is None
    mic = found["inputs"][0]
    assert (mic["name"], mic["is_default"], mic["muted"]) == ("mic.monitor", True, True)
    assert mic["is_monitor"]
    assert mic["is_configured"]
    assert mic["description"] != mic["name"]
    speaker = found["outputs"][0]
    assert (speaker["name"], speaker["is_default"], speaker["muted"]) == ("speaker", True, False)
    assert not speaker["is_configured"]
    assert {device["name"] for device in found["inputs"]} == {"mic.monitor", "speaker.monitor"}
    shown = run(env).stdout
    line = next(line for line in shown.splitlines() if line.startswith("  mic.monitor"))
    assert "[default, configured, MUTED, " in line


def test_a_name_for_people_is_taken_too(server: PulseServer, folders: dict[str, str]) -> None:
    found = json.loads(run(server.env | folders, "--json").stdout)
    description = found["outputs"][0]["description"]
    named = run(server.env | folders | {"OMNIID_AUDIO__OUTPUT_DEVICE": description}, "--json")
    assert json.loads(named.stdout)["outputs"][0]["is_configured"]


def test_without_a_sound_server_it_says_what_there_is(folders: dict[str, str]) -> None:
    if os.path.exists("/dev/snd"):  # noqa: PTH110 - the question is about a device folder
        pytest.skip("this machine has a sound card of its own")
    done = run(NO_SERVER | folders)
    assert "Microphones: none" in done.stdout
    assert "Speakers: none" in done.stdout
    assert done.returncode == 1
    assert "start the sound server" in done.stderr


def test_a_sound_server_that_hangs_does_not_hang_it(pulse: PulseServer, folders: dict[str, str]) -> None:
    pulse.stop_signal()
    try:
        began = time.monotonic()
        listed = run(pulse.env | folders)
        metered = run(pulse.env | folders, "--meter")
    finally:
        pulse.cont()
    assert listed.returncode == 1
    assert "does not answer" in listed.stderr
    assert metered.returncode == 1
    assert "gives no sound at all" in metered.stderr
    assert time.monotonic() - began < WITHIN_S


def test_killed_while_the_sound_server_hangs_it_leaves_no_probe(
    pulse: PulseServer, folders: dict[str, str]
) -> None:
    pulse.stop_signal()
    probe = None
    try:
        with subprocess.Popen(
            COMMAND, env={**os.environ, **pulse.env, **folders}, stderr=subprocess.DEVNULL
        ) as verb:
            try:
                probe = wait_for(lambda: hanging_probe(verb.pid), "the probe asks the server")
            finally:
                verb.kill()
        wait_for(lambda: not is_alive(probe), "the probe is gone")
    finally:
        pulse.cont()
        if probe is not None and is_alive(probe):
            os.kill(probe, signal.SIGKILL)


def test_the_meter_shows_how_loud_it_is(server: PulseServer, folders: dict[str, str], tmp_path: Path) -> None:
    with hum(server, tmp_path):
        done = run(server.env | folders, "--meter", "--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["loudest_db"] == pytest.approx(-20, abs=1.5)
    assert not measured["all_zero"]
    assert measured["device"]


def test_the_meter_says_so_when_the_microphone_is_muted(pulse: PulseServer, folders: dict[str, str]) -> None:
    done = run(pulse.env | folders, "--meter")
    assert done.returncode == 1
    assert "nothing but zeros" in done.stderr


def test_the_meter_says_what_names_there_are(pulse: PulseServer, folders: dict[str, str]) -> None:
    done = run(pulse.env | folders | {"OMNIID_AUDIO__INPUT_DEVICE": "Nobody's"}, "--meter")
    assert done.returncode == 1
    assert "mic.monitor" in done.stderr


def test_ctrl_c_ends_the_meter_and_leaves_nothing_open(
    pulse: PulseServer, folders: dict[str, str], tmp_path: Path
) -> None:
    terminal, theirs = pty.openpty()
    with hum(pulse, tmp_path):
        child = subprocess.Popen(
            [*COMMAND, "--meter"], env={**os.environ, **pulse.env, **folders}, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        drawn = b""
        while b"-20 dB" not in drawn:
            drawn += os.read(terminal, 4_096)
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal ends with its last writer
            while piece := os.read(terminal, 4_096):
                drawn += piece
        assert child.wait(WITHIN_S) == 0, drawn.decode()
    os.close(terminal)
    assert b"dB of full scale" in drawn
    assert b"Traceback" not in drawn
    names = pulse.pactl("list", "source-outputs")
    assert "python" not in names.lower()
