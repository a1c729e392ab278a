"""`omniid auth` as a user types it, with a real keyring; the daemon's end of the socket is played."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from support.keyring_daemon import KeyringDaemon, keyring_daemon

from omniid import config as configuration
from omniid.authority import sources
from omniid.control.schema import AuthView

__all__ = ["keyring_daemon"]

WITHIN_S = 60.0
SECRET = "Zq7-wX9.kP3_vB8"
REMOTE = '[backend]\nurl = "wss://assistant.example/ws"\nuser_id = "alice"\n'
OMNIID = (sys.executable, "-m", "omniid", "auth")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration; no daemon, no keyring and no token of this machine's own."""
    (tmp_path / "config.toml").write_text(REMOTE)
    for name in ("OMNIID_TOKEN", "CREDENTIALS_DIRECTORY", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMNIID_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("OMNIID_CONTROL__SOCKET", str(tmp_path / "s"))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    return tmp_path


@pytest.fixture
def unlocked(house: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch) -> KeyringDaemon:
    assert house
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", keyring_daemon.address)
    keyring_daemon.unlock()
    return keyring_daemon


def auth(*arguments: str, given: str | bytes = "", **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*OMNIID, *arguments],
        env={**os.environ, **more},
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    for piece in (SECRET, SECRET[:6], SECRET[-6:]):
        assert piece not in out + err
    assert "Traceback" not in err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


class Daemon(socketserver.ThreadingUnixStreamServer):
    """Answers every request with `answer` and remembers what was asked."""

    daemon_threads = True

    def __init__(self, path: Path, answer: dict[str, Any]) -> None:
        super().__init__(str(path), _Handler)
        self.answer = answer
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Daemon

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's own name
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        body = json.dumps(self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 the library's own name


@contextlib.contextmanager
def daemon(
    house: Path, state: str = "ready", origin: str | None = None, advice: str | None = None
) -> Iterator[Daemon]:
    answer = AuthView.model_validate({"state": state, "origin": origin, "advice": advice})
    with Daemon(house / "s", answer.model_dump()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(WITHIN_S)


# Signing in


def test_login_keeps_the_token_in_the_keyring(unlocked: KeyringDaemon, house: Path) -> None:
    assert unlocked
    done = auth("login", given=SECRET + "\nsecond line\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "The token is in the keyring, for alice@assistant.example.\nomniid will use it when it starts.\n"
    )
    assert not (house / "token").exists()
    get = "import keyring; print(keyring.get_password('omniid', 'alice@assistant.example'))"
    kept = subprocess.run([sys.executable, "-c", get], capture_output=True, text=True, check=True)
    assert kept.stdout == SECRET + "\n"


def test_login_with_file_keeps_it_in_a_private_file(house: Path) -> None:
    done = auth("login", "--file", given=SECRET)
    assert done.returncode == 0, done.stderr
    assert f"The token is in {house / 'token'}." in done.stdout
    assert (house / "token").read_text() == SECRET + "\n"
    assert stat.S_IMODE((house / "token").stat().st_mode) == 0o600


def test_login_tells_a_running_daemon(house: Path) -> None:
    with daemon(house) as running:
        done = auth("login", "--file", given=SECRET)
    assert done.returncode == 0, done.stderr
    assert running.asked == ["POST /v1/auth/login"]
    assert done.stdout.endswith("omniid has been told.\n")


def test_login_without_a_keyring_says_to_use_a_file(house: Path) -> None:
    with daemon(house) as running:
        done = auth("login", given=SECRET)
    assert done.returncode == 4
    assert done.stderr == (
        "omniid: This machine has no keyring. Run `omniid auth login --file` "
        "to keep the token in a file of yours.\n"
    )
    assert running.asked == []


def test_login_with_a_locked_keyring_says_so(unlocked: KeyringDaemon) -> None:
    unlocked.lock()
    done = auth("login", given=SECRET)
    assert done.returncode == 4
    assert done.stderr.startswith("omniid: The keyring is locked.")


@pytest.mark.parametrize(
    "given", ["", "\n", f"{SECRET} {SECRET}\n", SECRET.encode() + b"\xff\n", SECRET.encode() + b"\0"]
)
@pytest.mark.parametrize("options", [(), ("--file",)], ids=["keyring", "file"])
def test_login_refuses_what_is_no_token(given: str | bytes, options: tuple[str, ...], house: Path) -> None:
    done = auth("login", *options, given=given)
    assert done.returncode == 4
    assert "a token is one word of printable ASCII" in done.stderr
    assert not (house / "token").exists()


def test_login_takes_no_token_as_an_argument(house: Path) -> None:
    # The parser repeats the argument; what matters is that nobody gets used to typing it there.
    done = subprocess.run(
        [*OMNIID, "login", "--file", "a-token"],
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 2
    assert not (house / "token").exists()


def test_login_without_a_remote_backend_says_what_to_set(house: Path) -> None:
    (house / "config.toml").write_text("")
    done = auth("login", "--file", given=SECRET)
    assert done.returncode == 4
    assert f"Set backend.url in {house / 'config.toml'} first." in done.stderr
    assert not (house / "token").exists()


def test_login_says_what_goes_before_it(house: Path) -> None:
    assert "OMNIID_TOKEN goes before it" in auth("login", "--file", given=SECRET, OMNIID_TOKEN="other").stdout
    (house / "config.toml").write_text(REMOTE + 'token_command = "pass show omniid"\n')
    assert "token_command goes before it" in auth("login", "--file", given=SECRET).stdout


@pytest.mark.skipif(shutil.which("setsid") is None, reason="not installed: setsid (Debian: util-linux)")
def test_login_on_a_terminal_asks_and_shows_nothing_of_what_is_typed(house: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        command = ["setsid", "--ctty", "--wait", *OMNIID, "login", "--file"]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            seen = read_until(ours, "Token: ")
            os.write(ours, SECRET.encode() + b"\n")
            seen += read_until(ours, "when it starts.")
            assert process.wait(WITHIN_S) == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert SECRET[:6] not in seen
    assert (house / "token").read_text() == SECRET + "\n"


def read_until(terminal: int, words: str) -> str:
    seen = ""
    deadline = time.monotonic() + WITHIN_S
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, seen
        seen += os.read(terminal, 4_096).decode()
    return seen


# Signing out


def test_logout_removes_the_token_from_both_places(unlocked: KeyringDaemon, house: Path) -> None:
    assert unlocked
    assert auth("login", given=SECRET).returncode == 0
    assert auth("login", "--file", given=SECRET).returncode == 0
    with daemon(house) as running:
        done = auth("logout")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "The token is removed from the token file and the keyring.\nomniid has been told.\n"
    )
    assert running.asked == ["POST /v1/auth/logout"]
    assert auth("logout").stdout == "Neither the keyring nor the token file had a token.\n"
    assert json.loads(auth("status", "--json").stdout)["state"] == "none"


def test_logout_tells_the_daemon_also_when_the_keyring_is_locked(
    unlocked: KeyringDaemon, house: Path
) -> None:
    assert auth("login", "--file", given=SECRET).returncode == 0
    unlocked.lock()
    with daemon(house) as running:
        done = auth("logout")
    assert done.returncode == 4
    assert "The keyring is locked." in done.stderr
    assert "The token file is removed." in done.stderr
    assert running.asked == ["POST /v1/auth/logout"]


# How it stands


@pytest.mark.parametrize(
    ("state", "origin", "advice", "words", "code"),
    [
        ("none", None, None, "No token is in use.", 0),
        ("ready", "keyring", None, "A token is there. It comes from the keyring.", 0),
        (
            "refused",
            "token file",
            "Log in.",
            "The backend refused the token. It comes from the token file. Log in.",
            4,
        ),
        ("missing", None, None, "The backend wants a token, and there is none.", 4),
        ("failed", None, "Look.\x1b[2J", "There is a source of a token, and it fails. Look.\ufffd[2J", 4),
    ],
)
def test_status_tells_what_the_daemon_says(
    state: str, origin: str | None, advice: str | None, words: str, code: int, house: Path
) -> None:
    with daemon(house, state, origin, advice) as running:
        done = auth("status")
        data = auth("status", "--json")
    assert (done.stdout, done.returncode) == (words + "\n", code)
    assert (json.loads(data.stdout), data.returncode) == (running.answer, code)
    assert running.asked == ["GET /v1/auth"] * 2


def test_status_looks_for_itself_without_a_daemon(unlocked: KeyringDaemon, house: Path) -> None:
    done = auth("status")
    assert (done.returncode, done.stdout.partition(".")[0]) == (0, "No token is in use")
    auth("login", "--file", given=SECRET)
    assert "It comes from the token file." in auth("status").stdout
    auth("login", given=SECRET)
    assert "It comes from the keyring." in auth("status").stdout
    assert "It comes from backend.token or OMNIID_TOKEN." in auth("status", OMNIID_TOKEN=SECRET).stdout
    unlocked.lock()
    done = auth("status", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["state"] == "failed"
    assert re.match("The keyring is locked", json.loads(done.stdout)["advice"])
    assert house


def test_status_of_the_embedded_backend_says_that_it_needs_none(house: Path) -> None:
    (house / "config.toml").write_text("")
    done = auth("status", OMNIID_TOKEN=SECRET)
    words = "No token is in use. The backend here is omniid's own, and needs none.\n"
    assert (done.stdout, done.returncode) == (words, 0)


def test_status_runs_the_token_command_and_keeps_its_words_to_itself(house: Path) -> None:
    (house / "config.toml").write_text(REMOTE + f'token_command = "echo {SECRET}"\n')
    assert auth("status").stdout == "A token is there. It comes from backend.token_command.\n"
    (house / "config.toml").write_text(REMOTE + f"token_command = \"sh -c 'echo {SECRET}; exit 5'\"\n")
    done = auth("status")
    assert done.returncode == 4
    assert "backend.token_command ended with exit code 5" in done.stdout


# Which account


@pytest.mark.parametrize(
    ("backend", "account"),
    [
        ({"url": "wss://Assistant.example/ws"}, "alice@assistant.example"),
        ({"url": "wss://assistant.example:8443/ws"}, "alice@assistant.example:8443"),
        ({"url": "ws://[::1]:8000/ws"}, "alice@[::1]:8000"),
        ({"environment": "production"}, "alice@api.omnii.app"),
        ({}, "alice"),
    ],
)
def test_each_backend_has_an_account_of_its_own(backend: dict[str, Any], account: str, house: Path) -> None:
    settings = configuration.Settings.model_validate({"backend": {"user_id": "alice", **backend}})
    where = sources(settings)
    assert where.account == account
    assert where.token_file == house / "token"
