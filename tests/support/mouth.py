"""A real mouth process on the other end of its channel, and what is heard of it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import wave
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from omniid.workers.channel import (
    ConfigureMouth,
    Message,
    Say,
    SpeechFailed,
    SpeechStarted,
    ToMouth,
    VoiceNoted,
    WorkerReady,
    decode,
    encode,
)

DEADLINE_S = 60.0
LOUD = 300
LONG_TEXT = "This is a rather long sentence, so that there is time to interrupt it while it is heard. " * 4


class MouthProcess:
    """A mouth on the other end of a channel, with a deadline on every message."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "omniid.workers.mouth", "--channel-fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env={**env, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self.channel.settimeout(DEADLINE_S)
        self._lines = self.channel.makefile("rb")

    def send(self, message: ToMouth) -> None:
        self.channel.sendall(encode(message))

    def say(self, utterance_id: str, text: str) -> None:
        self.send(Say(utterance_id, text))

    def receive(self) -> Message:
        line = self._lines.readline()
        assert line, f"the mouth is gone: {self.process.communicate()[1]!r}"
        return decode(line)

    def started(self, utterance_id: str) -> SpeechStarted:
        message = self.receive()
        assert isinstance(message, SpeechStarted), message
        assert message.utterance_id == utterance_id
        return message

    def noted(self) -> str | None:
        message = self.receive()
        assert isinstance(message, VoiceNoted), message
        return message.note

    def failed(self, utterance_id: str) -> SpeechFailed:
        message = self.receive()
        assert isinstance(message, SpeechFailed), message
        assert message.utterance_id == utterance_id
        return message

    def hang_up(self) -> None:
        self._lines.close()
        self.channel.close()

    def output(self) -> tuple[bytes, bytes]:
        """What it printed; call it after the end of the channel."""
        self.hang_up()
        return self.process.communicate(timeout=DEADLINE_S)


@contextlib.contextmanager
def mouth(env: Mapping[str, str], **settings: object) -> Iterator[MouthProcess]:
    child = MouthProcess(env)
    try:
        ready = child.receive()
        assert isinstance(ready, WorkerReady)
        assert ready.pid == child.process.pid
        child.send(configuration(**settings))
        yield child
    finally:
        child.hang_up()
        child.process.kill()
        child.process.communicate(timeout=DEADLINE_S)


def configuration(**settings: object) -> ConfigureMouth:
    defaults: dict[str, object] = {
        "engine": "pyttsx3",
        "voice": None,
        "rate": 180,
        "volume": 1.0,
        "output_device": None,
        "output_file": None,
    }
    return ConfigureMouth(**(defaults | settings))  # type: ignore[arg-type]


def samples_of(path: Path) -> tuple[int, array[int]]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), array("h", file.readframes(file.getnframes()))


def loud_seconds(path: Path) -> tuple[float, float]:
    """Where sound begins and ends in a recording, to 10 ms."""
    rate, samples = samples_of(path)
    step = rate // 100
    loud = [at / rate for at in range(0, len(samples), step) if max(map(abs, samples[at : at + step])) > LOUD]
    assert loud, "the recording is silent"
    return loud[0], loud[-1]
