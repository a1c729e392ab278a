"""The locks that a killed process leaves in JACK's database, made with the real library and a real kill."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniid.audio import jack, portaudio
from omniid.errors import AudioError

DATABASE = Path(f"/dev/shm/jack_db-{os.geteuid()}")
PLAINLY = "import sounddevice"
THROUGH_US = "from omniid.audio import portaudio; portaudio.load()"
QUIET = {**os.environ, "PULSE_SERVER": "unix:/nowhere"}


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's PortAudio starts JACK's library")


@pytest.fixture
def uses_jack() -> Iterator[None]:
    """This machine's PortAudio starts JACK's library, no JACK server runs, and nobody died in it yet."""
    try:
        portaudio.load()
    except AudioError as error:
        pytest.skip(str(error))
    if jack._server_runs():
        pytest.skip("a JACK server runs here: its database is its own")
    shutil.rmtree(DATABASE, ignore_errors=True)
    starts(PLAINLY, 60)
    if not DATABASE.exists():
        pytest.skip("this PortAudio does not start a JACK library with a database")
    try:
        yield
    finally:
        jack.clear_locks()  # a test that was stopped must not leave this machine without sound


def starts(program: str, seconds: float) -> bool:
    """Whether a fresh process gets through it in that time."""
    try:
        subprocess.run(
            [sys.executable, "-c", program],
            timeout=seconds,
            check=True,
            env=QUIET,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_one_inside() -> None:
    shutil.rmtree(DATABASE, ignore_errors=True)
    with subprocess.Popen([sys.executable, "-c", PLAINLY], env=QUIET, stderr=subprocess.DEVNULL) as victim:
        while victim.poll() is None and not (DATABASE / "metadata.db").exists():
            pass  # the moment is short: whoever sleeps here misses it
        victim.kill()


@on_linux
@pytest.mark.usefixtures("uses_jack")
def test_who_was_killed_while_it_started_leaves_the_next_one_a_way_in() -> None:
    for _ in range(60):
        kill_one_inside()
        if not starts(PLAINLY, 8):
            break
    else:
        pytest.fail("60 killed in the moment in which a third of them leaves a lock, and none did")
    assert starts(THROUGH_US, 60)
    assert starts(PLAINLY, 60), "and what is on the machine besides us starts again"


@on_linux
@pytest.mark.usefixtures("uses_jack")
def test_many_may_start_at_once() -> None:
    starting = [
        subprocess.Popen([sys.executable, "-c", THROUGH_US], env=QUIET, stderr=subprocess.DEVNULL)
        for _ in range(12)
    ]
    assert [process.wait(120) for process in starting] == [0] * 12


@on_linux
@pytest.mark.parametrize(
    ("name", "promiscuous", "stays"),
    [
        (f"jack_default_{os.geteuid()}_0", False, True),
        (f"jack_my_server_{os.geteuid()}_0", False, True),
        (f"jack_default_{os.geteuid()}4_0", False, False),
        ("jack_default_0", False, False),
        ("jack_default_0", True, True),
    ],
    ids=["mine", "mine by another name", "another user's", "not for all", "for all"],
)
def test_the_database_of_a_server_that_runs_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, promiscuous: bool, stays: bool
) -> None:
    database = tmp_path / DATABASE.name
    database.mkdir()
    monkeypatch.setattr(jack, "_SHARED_MEMORY", tmp_path)
    monkeypatch.delenv("JACK_PROMISCUOUS_SERVER", raising=False)
    if promiscuous:
        monkeypatch.setenv("JACK_PROMISCUOUS_SERVER", "")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / name))
        server.listen()
        jack.clear_locks()
        assert database.exists() == stays
    jack.clear_locks()
    jack.clear_locks()
    assert [path.name for path in tmp_path.iterdir()] == [name], "it is gone, and so is what it became"


@on_linux
def test_what_cannot_be_cleared_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jack, "_SHARED_MEMORY", tmp_path / "file")
    (tmp_path / "file").write_bytes(b"")
    jack.clear_locks()
    assert "cannot be cleared" in caplog.text
