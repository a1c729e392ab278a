"""`omniid ask` and a daemon that ends or hangs before anything was asked of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import flow

from omniid.cli import ask
from omniid.control.client import Client
from omniid.errors import EXIT_NOT_RUNNING, NotRunningError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@contextmanager
def socket_that_says(folder: Path, words: bytes, *, hangs: bool = False) -> Iterator[Path]:
    """A socket where a daemon's would be. It says this to each who asks, and ends it or keeps it waiting."""
    path = folder / "omniid.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    link, _ = listening.accept()
                except OSError:
                    return  # the test is over
                link.recv(65_536)
                link.sendall(words)
                kept.append(link) if hangs else link.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(flow.WITHIN_S)
            for link in kept:
                link.close()


@pytest.mark.parametrize(
    "words", [HEAD, HEAD + b": nothing yet", b""], ids=["ends", "is cut", "says nothing"]
)
def test_a_daemon_that_ends_before_it_was_asked_is_said_to(tmp_path: Path, words: bytes) -> None:
    with socket_that_says(tmp_path, words) as path:
        config = tmp_path / "config.toml"
        config.write_text(f'[control]\nsocket = "{path}"\n', encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "omniid", "ask", "hello"],
            env={**os.environ, **flow.QUIET_HOUSE, "OMNIID_CONFIG": str(config)},
            capture_output=True,
            text=True,
            timeout=flow.WITHIN_S,
            check=False,
        )
    assert done.returncode == EXIT_NOT_RUNNING
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("omniid: ")


@pytest.mark.parametrize("words", [HEAD, b""], ids=["after its head", "at once"])
def test_a_daemon_that_hangs_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr(ask, "_SILENT_FOR_S", 0.3)
    with socket_that_says(tmp_path, words, hangs=True) as path, pytest.raises(NotRunningError) as told:
        ask._Happenings(Client(path))
    assert "does not answer" in str(told.value)
