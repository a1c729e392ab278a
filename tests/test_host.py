"""This machine: folders, sockets, time."""

from __future__ import annotations

import os
import socket
import stat
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from omniid import host
from omniid.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("OMNIID_CONFIG", "OMNIID_CONTROL__SOCKET", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_the_control_socket_is_where_the_environment_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    assert host.control_socket() == home / "run" / "omniid" / "omniid.sock"

    (home / "config" / "omniid").mkdir(parents=True)
    (home / "config" / "omniid" / "config.toml").write_text('[control]\nsocket = "/s/from-file"\n')
    assert host.control_socket() == Path("/s/from-file")

    monkeypatch.setenv("OMNIID_CONTROL__SOCKET", "/s/from-environment")
    assert host.control_socket() == Path("/s/from-environment")


@pytest.mark.parametrize("content", ["[control", "control = 5", "[control]\nsocket = 5", "\0"])
def test_a_broken_file_does_not_keep_a_verb_from_the_daemon(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    monkeypatch.setenv("OMNIID_CONFIG", str(home / "config.toml"))
    (home / "config.toml").write_text(content)

    assert host.control_socket() == home / "omniid" / "omniid.sock"


def test_a_private_folder_is_made_closed(tmp_path: Path) -> None:
    folder = host.private_folder(tmp_path / "a" / "b")

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert host.private_folder(folder) == folder


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o770])
def test_a_folder_that_others_may_enter_is_refused_and_left_alone(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(ConfigError, match="chmod 700"):
        host.private_folder(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == mode


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65_534, 65_534)

    with pytest.raises(ConfigError):
        host.private_folder(folder)


def test_the_service_manager_hears_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        host.notify_service_manager("READY=1")

        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@omniid-test-nobody-listens"])
def test_nobody_listening_to_the_notification_is_no_mistake(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    host.notify_service_manager("READY=1")


@pytest.mark.parametrize(
    ("given", "expected"), [("Europe/Berlin", "Europe/Berlin"), (":Asia/Tokyo", "Asia/Tokyo")]
)
def test_the_zone_is_the_one_in_tz(monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    monkeypatch.setenv("TZ", given)

    assert host.timezone_name() == expected


@pytest.mark.parametrize(
    "given", ["", "Mars/Olympus", "../../etc/passwd", "EST5EDT,M3.2.0,M11.1.0", "Europe"]
)
def test_whatever_tz_says_the_zone_is_a_real_one(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("TZ", given)

    ZoneInfo(host.timezone_name())


def test_the_clock_reads_both_clocks_in_its_zone() -> None:
    before = time.monotonic()
    moment = host.Clock("Asia/Tokyo")()

    assert before <= moment.monotonic <= time.monotonic()
    assert moment.wall.utcoffset() == datetime.now(ZoneInfo("Asia/Tokyo")).utcoffset()
    assert abs(moment.unix_ms - time.time() * 1000) < 10_000
