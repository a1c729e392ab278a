"""What the parts share: a server that replies, a daemon that speaks, an ear on the speaker."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.table import Table
from support.pulse import PulseServer
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from omniid.cli.private_daemon import Config, PrivateDaemon

ENGINES = ("pyttsx3", "piper")
SHORT = "It is half past ten."
LONG = (
    "The quick brown fox jumps over the lazy dog, and then it runs back to its den in the woods. " * 22
).strip()[:2_000]
WITHIN_S = 60.0
_LOUD = 300
_CHUNK_BYTES = 320  # 10 ms
_QUIET_S = 0.5


class Replier:
    """A backend on a real socket. It replies with `text`, `think_s` after a command came."""

    def __init__(self) -> None:
        self.text, self.think_s = SHORT, 0.0
        self.sent_at = 0.0
        self._server = serve(self._talk, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/ws"

    def _talk(self, link: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            link.send(json.dumps({"type": "hello", "payload": {"features": ["correlate"]}}))
            for raw in link:
                frame = json.loads(raw)
                if frame["type"] == "command":
                    time.sleep(self.think_s)
                    reply = _reply(frame["payload"]["requestId"], self.text)
                    self.sent_at = time.monotonic()
                    link.send(reply)
                elif frame["type"] == "ping":
                    link.send(
                        json.dumps({"type": "pong", "data": {"pong": True, "sequence": 1}, "timestamp": 0})
                    )


def _reply(request_id: str, text: str) -> str:
    reply = {"type": "response", "status": "success", "data": {"message": text}, "timestamp": 0}
    return json.dumps({**reply, "requestId": request_id})


class Listener:
    """Hears the virtual speaker and notes when it heard something first and last. A context manager."""

    def __init__(self, env: Mapping[str, str]) -> None:
        command = ["parec", "--raw", "-d", "speaker.monitor", "--latency-msec=10", "--format=s16le"]
        command += ["--channels=1", "--rate=16000"]
        self._recorder = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._listen)
        self.heard_at = self.first_heard_at = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.kill()
        self._thread.join()
        self._recorder.wait()

    def forget(self) -> None:
        self.first_heard_at = 0.0

    def first(self) -> float:
        """When the first sound since `forget` was heard."""
        until = time.monotonic() + WITHIN_S
        while not self.first_heard_at:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing was heard within {WITHIN_S:.0f} s")
            time.sleep(0.001)
        return self.first_heard_at

    def wait_for_a_word(self) -> None:
        """Until a sound was heard just now."""
        while time.monotonic() - self.heard_at > 0.02:
            time.sleep(0.001)

    def wait_for_quiet(self) -> None:
        while time.monotonic() - self.heard_at < _QUIET_S:
            time.sleep(0.02)

    def _listen(self) -> None:
        assert self._recorder.stdout is not None
        while chunk := os.read(self._recorder.stdout.fileno(), _CHUNK_BYTES):
            samples = memoryview(chunk[: len(chunk) // 2 * 2]).cast("h")
            if max(map(abs, samples), default=0) > _LOUD:
                self.heard_at = time.monotonic()
                self.first_heard_at = self.first_heard_at or self.heard_at


@contextlib.contextmanager
def speaking_daemon(
    engine: str, pulse: PulseServer, replier: Replier, folder: Path
) -> Iterator[PrivateDaemon]:
    """A daemon with its link open and its ear standing; without cues, which would be heard as sounds."""
    folder.mkdir(parents=True)
    config: Config = {
        "backend": {"url": replier.url, "user_id": "benchmark", "token": "benchmark"},
        "session": {"rate_limit_per_minute": 0},
        "speech": {"engine": engine, "when": "always"},
        "audio": {"cues": False},
        "log": {"level": "error"},
    }
    with PrivateDaemon(folder, config, pulse.env) as daemon:
        status = daemon.status()
        while status["link"] != "ready" or not status["workers"]["ear"]["running"]:
            daemon.next_event(WITHIN_S)
            status = daemon.status()
        yield daemon


def until(daemon: PrivateDaemon, *names: str) -> str:
    """Which of these events came next."""
    while True:
        name = str(daemon.next_event(WITHIN_S)["event"])
        if name in names:
            return name


def hush(daemon: PrivateDaemon) -> None:
    daemon.client.call("DELETE", "/v1/speech")


def pss_mb(pid: int) -> float:
    """Memory with shared pages counted once."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


def add_times(table: Table, *names: str, times: Sequence[float]) -> None:
    """A row of the names, then the median, the longest and the number of these seconds."""
    if not times:
        table.add_row(*names, "not measured", "", "0")
        return
    longest = f"{max(times) * 1000:.0f} ms"
    table.add_row(*names, f"{statistics.median(times) * 1000:.0f} ms", longest, str(len(times)))
