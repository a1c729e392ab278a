from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omniid.audio.files import read_take
from omniid.audio.take_file import TakeFile, is_plain_name, take_path

BLOCK = bytes(range(1, 161)) * 4


def test_a_take_is_kept_as_it_comes_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "takes"
    file = TakeFile(str(folder), "a1")
    assert not folder.exists()
    for count in range(1, 6):
        file.write(BLOCK)
        path = take_path(str(folder), "a1")
        assert read_take(str(path), 10) == BLOCK * count, "readable at any moment"
    file.complete()
    assert read_take(str(path), 10) == BLOCK * 5
    assert path.read_bytes()[40:44] == (len(BLOCK) * 5).to_bytes(4, "little"), "its header tells the length"
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_killed_process_leaves_what_was_heard(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom omniid.audio.take_file import TakeFile\nfile = TakeFile(sys.argv[1], 'a')\n"
        f"for _ in range(50): file.write({BLOCK!r})\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert read_take(str(tmp_path / "a.wav"), 10) == BLOCK * 50


def test_what_an_earlier_ear_left_of_the_take_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"old" * 1_000)
    file = TakeFile(str(tmp_path), "a")
    file.write(BLOCK)
    assert read_take(str(tmp_path / "a.wav"), 10) == BLOCK


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.wav").symlink_to(victim)
    file = TakeFile(str(tmp_path), "a")
    file.write(BLOCK)
    assert victim.read_text() == "precious"
    assert read_take(str(tmp_path / "a.wav"), 10) == BLOCK


def test_a_forgotten_take_is_gone_and_stays_gone(tmp_path: Path) -> None:
    file = TakeFile(str(tmp_path), "a")
    file.write(BLOCK)
    file.forget()
    file.write(BLOCK)
    file.complete()
    file.forget()
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = TakeFile(None, "a")
    file.write(BLOCK)
    file.complete()
    file.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_the_file_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = TakeFile(str(tmp_path), "a")
    file.write(BLOCK)
    assert file._descriptor is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._descriptor)
    os.close(full)
    for _ in range(3):
        file.write(BLOCK)
    file.complete()
    assert list(tmp_path.iterdir()) == [], "half a take is not the take"
    assert [record.message for record in caplog.records if "not kept" in record.message] == [
        "the take is not kept, it cannot be tried again: [Errno 28] No space left on device"
    ]


def test_a_folder_that_cannot_be_costs_the_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = TakeFile(str(tmp_path / "file" / "takes"), "a")
    file.write(BLOCK)
    file.complete()
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("name", ["a", "0192f0c4-7b7e-7cc3-98c5-0d5a1f3a2b11", "take_1.x"])
def test_an_id_is_a_plain_name(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "/a", ".hidden", "a\n", "a\0b", "ä", "a" * 101]
)
def test_a_name_that_points_elsewhere_is_none(name: str) -> None:
    assert not is_plain_name(name)
