"""The history encrypted at rest, as a user turns it on and off: a real daemon, a real keyring."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support import flow
from support.keyring_daemon import KeyringDaemon, keyring_daemon

from omniid.cli.private_daemon import PrivateDaemon
from omniid.errors import EXIT_CONFIG, EXIT_FAILED, NotRunningError
from omniid.storage import encryption

__all__ = ["keyring_daemon"]

ANSWERED = "what is a zebrafish"
WAITING = [f"tell narwhal number {number}" for number in range(3)]
SECRETS = (b"zebrafish", b"narwhal", b"SQLite")


class House:
    """Where one daemon after the other lives. Commands of `WAITING` wait for a backend that is not there."""

    def __init__(self, folder: Path, bus: str) -> None:
        self.folder = folder
        self.bus = bus
        self.path = folder / "data" / "omniid" / "omniid.db"

    def daemon(self, *, encrypted: bool, away: bool = True, **environment: str) -> PrivateDaemon:
        # Nobody listens there.
        backend = {"url": "ws://127.0.0.1:9/ws"} if away else {"mode": "embedded"}
        return flow.daemon(
            self.folder,
            {"history": {"encrypted": encrypted}, "backend": backend, "speech": {"engine": "none"}},
            DBUS_SESSION_BUS_ADDRESS=self.bus,
            **environment,
        )

    def fill(self) -> None:
        """One command that was answered, and some that wait."""
        with self.daemon(encrypted=False, away=False) as running:
            asked = {"message": ANSWERED, "wait_s": flow.WITHIN_S}
            answered = running.client.call("POST", "/v1/commands", asked, wait_s=flow.WITHIN_S)
            assert answered["reply"] is not None
            while "zebrafish" not in str(running.client.call("GET", "/v1/history")):
                flow.until(running, "command_moved", "snapshot")
        with self.daemon(encrypted=False) as running:
            for words in WAITING:
                running.client.call("POST", "/v1/commands", {"message": words})

    def content(self, running: PrivateDaemon) -> tuple[list[str], int, int]:
        """What waits, how many messages there are, and how many the search finds."""
        outbox = running.client.call("GET", "/v1/outbox")["commands"]
        messages = running.client.call("GET", "/v1/history")["messages"]
        found = running.client.call("GET", "/v1/history?q=zebrafish")["messages"]
        return [command["message"] for command in outbox], len(messages), len(found)

    def on_disk(self) -> bytes:
        """The file and its log; not what SQLite keeps about readers of the log, which is no content."""
        parts = sorted(self.path.parent.glob("omniid.db*"))
        return b"".join(part.read_bytes() for part in parts if not part.name.endswith("-shm"))

    def refused(self, *, encrypted: bool, **environment: str) -> tuple[int, str]:
        """The exit code and the words of a daemon that does not start; it has changed nothing."""
        self.daemon(encrypted=encrypted).folder.joinpath("config.toml").write_text(
            f'[history]\nencrypted = {str(encrypted).lower()}\n[hotkey]\nbackend = "none"\n'
            f'[control]\nsocket = "{self.folder}/run/omniid.sock"\n',
            encoding="utf-8",
        )
        before = self.on_disk()
        done = self.omniid("run", **environment)
        assert self.on_disk() == before
        assert "Traceback" not in done.stderr
        words = [line for line in done.stderr.splitlines() if line.startswith("omniid: ")]
        assert len(words) == 1, done.stderr
        return done.returncode, words[0]

    def omniid(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "omniid", *arguments],
            env={**self.daemon(encrypted=True).environment, **environment},
            capture_output=True,
            text=True,
            timeout=flow.WITHIN_S,
            check=False,
        )

    def doctor(self, **environment: str) -> dict[str, Any]:
        findings: list[dict[str, Any]] = json.loads(self.omniid("doctor", "--json", **environment).stdout)
        return next(finding for finding in findings if finding["name"] == "database")


@pytest.fixture
def house(tmp_path: Path, keyring_daemon: KeyringDaemon) -> House:
    return House(tmp_path / "house", keyring_daemon.address)


def in_keyring(work: str) -> None:
    lines = f"import keyring\naccount = ('omniid', 'omniid.database')\n{work}"
    subprocess.run([sys.executable, "-c", lines], timeout=flow.WITHIN_S, check=True)


def test_turned_on_and_off_again_nothing_is_lost(house: House, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    house.fill()
    assert all(secret in house.on_disk() for secret in SECRETS)
    finding = house.doctor(OMNIID_HISTORY__ENCRYPTED="true")
    assert finding["detail"] == "in clear text"
    assert "It is encrypted when omniid next starts. The keyring has no key yet" in finding["advice"]

    with house.daemon(encrypted=True) as running:
        assert house.content(running) == (WAITING, 2 + len(WAITING), 1)
        running.client.call("POST", "/v1/commands", {"message": "tell narwhal once more"})
        whole = house.content(running)
        assert whole == ([*WAITING, "tell narwhal once more"], 3 + len(WAITING), 1)
        assert not any(secret in house.on_disk() for secret in SECRETS)
        assert house.doctor()["verdict"] == "ok"
        assert house.doctor()["detail"] == "encrypted, with its key in the keyring"
    assert not any(secret in house.on_disk() for secret in SECRETS)

    with house.daemon(encrypted=True) as running:  # which asks the keyring for the same key
        assert house.content(running) == whole
    with house.daemon(encrypted=False) as running:
        assert house.content(running) == whole
        assert house.doctor()["detail"] == "in clear text"
    assert all(secret in house.on_disk() for secret in SECRETS)
    keyring_daemon.kill()
    with house.daemon(encrypted=False):
        pass  # it needs no keyring any more


def test_the_log_of_the_daemon_has_no_key(house: House, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    with house.daemon(encrypted=True) as running:
        pass
    word = subprocess.run(
        [sys.executable, "-c", "import keyring; print(keyring.get_password('omniid', 'omniid.database'))"],
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=True,
    ).stdout.strip()
    assert len(word) == 64
    log = running.log.read_text(encoding="utf-8")
    assert "the database is encrypted now" in log
    assert word[:8] not in log


def test_what_goes_wrong_is_told_and_nothing_is_touched(
    house: House, keyring_daemon: KeyringDaemon, tmp_path: Path
) -> None:
    keyring_daemon.unlock()
    house.fill()
    with house.daemon(encrypted=True) as running:
        whole = house.content(running)
        assert running.process is not None
        running.process.kill()  # so that a part of it is in the log beside the file
        running.process.wait(flow.WITHIN_S)

    keyring_daemon.lock()
    code, words = house.refused(encrypted=True)
    assert code == EXIT_FAILED
    assert "The keyring is locked. Unlock it" in words
    assert house.doctor()["verdict"] == "problem"

    keyring_daemon.kill()
    code, words = house.refused(encrypted=True)
    assert code == EXIT_FAILED
    assert "gnome-keyring" in words

    keyring_daemon.unlock()
    (tmp_path / "hidden" / "sqlcipher3").mkdir(parents=True)
    (tmp_path / "hidden" / "sqlcipher3" / "__init__.py").write_text("raise ImportError('hidden')\n")
    code, words = house.refused(encrypted=True, PYTHONPATH=str(tmp_path / "hidden"))
    assert code == EXIT_CONFIG
    assert "pip install 'omniid[encrypted]'" in words

    with house.daemon(encrypted=True) as running:
        assert house.content(running) == whole


@pytest.mark.parametrize("is_there", [True, False], ids=["locked", "not there yet"])
def test_a_service_waits_for_the_keyring_of_the_desktop(
    house: House, keyring_daemon: KeyringDaemon, tmp_path: Path, *, is_there: bool
) -> None:
    keyring_daemon.unlock()
    with house.daemon(encrypted=True):
        pass
    if is_there:
        keyring_daemon.lock()
    else:
        keyring_daemon.kill()
    told: list[str] = []

    def sign_in(manager: socket.socket) -> None:
        told.append(manager.recv(10_000).decode())
        keyring_daemon.unlock()
        told.append(manager.recv(10_000).decode())

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(flow.WITHIN_S)
        person = threading.Thread(target=sign_in, args=(manager,))
        person.start()
        with house.daemon(encrypted=True, NOTIFY_SOCKET=str(tmp_path / "notify")):
            person.join(flow.WITHIN_S)
    waiting, ready = told
    assert waiting.startswith("EXTEND_TIMEOUT_USEC=")
    assert "STATUS=waiting for the keyring: " in waiting
    assert ready.startswith("READY=1")


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_key_that_is_lost_or_another_is_told_and_nothing_is_touched(
    house: House, keyring_daemon: KeyringDaemon, *, encrypted: bool
) -> None:
    keyring_daemon.unlock()
    house.fill()
    with house.daemon(encrypted=True) as running:
        whole = house.content(running)
        assert running.process is not None
        running.process.kill()
        running.process.wait(flow.WITHIN_S)
    in_keyring("keyring.set_password('omniid', 'kept', keyring.get_password(*account))")

    in_keyring("keyring.set_password(*account, '00' * 32)")
    code, words = house.refused(encrypted=encrypted)
    assert code == EXIT_CONFIG
    assert f"does not open {house.path}" in words

    in_keyring("keyring.delete_password(*account)")
    code, words = house.refused(encrypted=encrypted)
    assert code == EXIT_CONFIG
    assert "does not have its key" in words
    assert f"mv {house.path}*" in words
    finding = house.doctor()
    assert finding["verdict"] == "problem"
    assert "does not have its key" in finding["advice"]

    in_keyring("keyring.set_password(*account, keyring.get_password('omniid', 'kept'))")
    with house.daemon(encrypted=encrypted) as running:
        assert house.content(running) == whole
    assert encryption.looks_encrypted(house.path) is encrypted


def test_killed_while_it_is_made_over_nothing_is_lost(house: House, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    house.fill()
    with house.daemon(encrypted=False) as running:
        whole = house.content(running)
    met = number = 0
    while number < 8 or (not met and number < 40):  # the moment is short: eight may all miss it
        wanted = not encryption.looks_encrypted(house.path)
        met += _killed_as_it_begins(house, encrypted=wanted, after_s=number % 8 * 0.0015)
        number += 1
        with house.daemon(encrypted=wanted) as running:
            assert house.content(running) == whole
        assert encryption.looks_encrypted(house.path) is wanted
        assert not list(house.path.parent.glob("*.unfinished*"))
        assert not list(house.path.parent.glob("*.damaged*"))
    assert met > 0, "no kill fell into a conversion"


def _killed_as_it_begins(house: House, *, encrypted: bool, after_s: float) -> bool:
    """Start a daemon and kill it this long after the copy appears; whether there was still a copy then."""
    unfinished = house.path.with_name("omniid.db.unfinished")
    seen, over = threading.Event(), threading.Event()
    running = house.daemon(encrypted=encrypted)

    def watch() -> None:
        while not over.is_set():
            if unfinished.exists():
                seen.set()
                time.sleep(after_s)
                with contextlib.suppress(ProcessLookupError, AttributeError):
                    assert running.process is not None
                    os.kill(running.process.pid, 9)
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with contextlib.suppress(Exception), running:
            pass
    finally:
        over.set()
        watching.join(flow.WITHIN_S)
    with pytest.raises(NotRunningError):
        running.status()
    return unfinished.exists()
