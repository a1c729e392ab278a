"""A private PulseAudio with a virtual microphone and a virtual speaker.

`mic` and `speaker` are null sinks: what is played into `mic` is what a program hears on its microphone
(`mic.monitor`, the default source); what a program plays to the default sink is recorded from
`speaker.monitor`. Nothing of the user's own sound system is touched.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PROGRAMS = ("pulseaudio", "pactl", "pacat", "paplay", "parec")
STARTUP_S = 20.0
COMMAND_S = 30.0
LOUD = 1_000
# An idle null sink gives its first block only after two seconds; sinks fed with silence never go idle.
KEPT_WARM = ("mic", "speaker")


def why_unavailable() -> str | None:
    """Why no virtual sound card can be had here; None when it can."""
    if sys.platform != "linux":
        return "the virtual microphone needs Linux with PulseAudio"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)} (Debian: pulseaudio, pulseaudio-utils)" if missing else None


class PulseServer:
    """The server, as a context manager. `env` is what a child process needs to reach it, and nothing else."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="omniid-pulse-"))
        self.socket = self.folder / "pulse.sock"
        self.env = self._environment()
        self._server: subprocess.Popen[bytes] | None = None
        self._warmers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def start(self) -> None:
        """Start the server (again, after `kill`) and wait until it answers."""
        script = self.folder / "pulse.pa"
        script.write_text(
            f"load-module module-native-protocol-unix socket={self.socket} auth-anonymous=1\n"
            "load-module module-null-sink sink_name=mic\n"
            "load-module module-null-sink sink_name=speaker\n"
            "set-default-sink speaker\n"
            "set-default-source mic.monitor\n"
        )
        command = ["pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--disable-shm=yes", "--use-pid-file=no", "--log-target=stderr"]
        with (self.folder / "pulse.log").open("ab") as log:
            self._server = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        self.wait_until_it_answers()
        self.keep_warm(*KEPT_WARM)

    def keep_warm(self, *sinks: str) -> None:
        """Feed silence into sinks, so that a stream on their monitors starts at once."""
        for sink in sinks:
            command = ["pacat", "--latency-msec=20", "-d", sink, "--raw", "/dev/zero"]
            self._warmers.append(self._spawn(command))
        for sink in sinks:
            self._wait_for_sound(f"{sink}.monitor")

    def pactl(self, *args: str) -> str:
        """Run pactl and return what it printed."""
        done = subprocess.run(
            ["pactl", *args], env=self.env, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        if done.returncode:
            raise RuntimeError(f"pactl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def speak(self, sound: Path, into: str = "mic") -> None:
        """Play a WAV file into the microphone; returns when it has been played."""
        subprocess.run(["paplay", "-d", into, str(sound)], env=self.env, timeout=120, check=True)

    def start_speaking(self, sound: Path, into: str = "mic") -> subprocess.Popen[bytes]:
        """As `speak`; returns when the first loud sample has passed, while the rest is still to come."""
        with self._listening(f"{into}.monitor") as hear:
            hear()  # it listens before anybody speaks
            player = self._spawn(["paplay", "-d", into, str(sound)])
            deadline = time.monotonic() + COMMAND_S
            while not _is_loud(hear()):
                assert time.monotonic() < deadline, "nothing was heard of it"
        return player

    @contextlib.contextmanager
    def _listening(self, monitor: str) -> Iterator[Callable[[], bytes]]:
        """Gives what waits for the next piece of sound of a source that is never idle."""
        command = ["parec", "--raw", "--latency-msec=20", "--format=s16le", "--channels=1", "--rate=16000"]
        with subprocess.Popen(
            [*command, "-d", monitor], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as listener:
            stdout = listener.stdout
            assert stdout is not None
            try:
                yield lambda: os.read(stdout.fileno(), 640)
            finally:
                listener.kill()

    @contextlib.contextmanager
    def record(self, monitor: str = "speaker.monitor") -> Iterator[Path]:
        """Record what is played until the block ends: a WAV, 16 kHz mono int16, complete after the block."""
        path = self.folder / f"heard-{time.monotonic_ns()}.wav"
        command = ["parec", "-d", monitor, "--latency-msec=20", "--file-format=wav"]
        command += ["--rate=16000", "--channels=1", "--format=s16le", str(path)]
        recorder = self._spawn(command)
        try:
            wait_for(lambda: path.exists() and path.stat().st_size > 0, "parec writes its first samples")
            yield path
        finally:
            recorder.send_signal(signal.SIGINT)
            recorder.wait(COMMAND_S)

    def wait_for_quiet(self, monitor: str = "speaker.monitor", quiet_s: float = 1.5) -> None:
        """Until nothing has been heard there for so long; a cue that was asked for has sounded by then."""
        last = time.monotonic()
        with self._listening(monitor) as hear:
            while time.monotonic() - last < quiet_s:
                if _is_loud(hear()):
                    last = time.monotonic()

    def module_of(self, sink: str) -> str:
        """The number of the module that made a sink, for `pactl("unload-module", ...)`."""
        for line in self.pactl("list", "short", "modules").splitlines():
            number, _, rest = line.partition("\t")
            if f"sink_name={sink}" in rest:
                return number
        raise RuntimeError(f"no module made the sink {sink}")

    def add_sink(self, name: str) -> None:
        """One more virtual device."""
        properties = f"sink_properties=device.description={name}"
        self.pactl("load-module", "module-null-sink", f"sink_name={name}", properties)

    def remove_sink(self, name: str) -> None:
        """The device is pulled."""
        self.pactl("unload-module", self.module_of(name))

    def make_default(self, microphone: str, speaker: str) -> None:
        """Sinks that stand for the default microphone and the default speaker."""
        self.pactl("set-default-source", f"{microphone}.monitor")
        self.pactl("set-default-sink", speaker)

    def kill(self) -> None:
        """The server dies without a word; `start` brings a new one to the same socket."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(COMMAND_S)
            self._server = None
        self.end_warmers()
        self.socket.unlink(missing_ok=True)

    def stop_signal(self) -> None:
        """The server hangs: it keeps its socket and answers nobody."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        """The server goes on after `stop_signal`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None, "the server is not running"
        self._server.send_signal(number)

    def _environment(self) -> dict[str, str]:
        home, run = self.folder / "home", self.folder / "run"
        home.mkdir(mode=0o700)
        run.mkdir(mode=0o700)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "TZ") if name in os.environ}
        return kept | {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(run),
            "PULSE_RUNTIME_PATH": str(run / "pulse"),
            "PULSE_SERVER": f"unix:{self.socket}",
            "HF_HUB_OFFLINE": "1",
        }

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        silent = subprocess.DEVNULL
        return subprocess.Popen(command, env=self.env, stdin=silent, stdout=silent, stderr=silent)

    def wait_until_it_answers(self) -> None:
        def answers() -> bool:
            try:
                self.pactl("info")
            except RuntimeError:
                return False
            return True

        wait_for(answers, f"PulseAudio answers (its log: {self.folder / 'pulse.log'})")

    def _wait_for_sound(self, source: str) -> None:
        """A fresh null sink needs up to two seconds until its monitor gives the first block."""
        command = ["parec", "--raw", "--latency-msec=20", "-d", source]
        with subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as listener:
            assert listener.stdout is not None
            ready, _, _ = select.select([listener.stdout], [], [], STARTUP_S)
            listener.kill()
        if not ready:
            raise TimeoutError(f"{source} gave no sound within {STARTUP_S:.0f} s")

    def end_warmers(self) -> None:
        for warmer in self._warmers:
            warmer.kill()
            warmer.wait(COMMAND_S)
        self._warmers.clear()

    def _close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_loud(pcm: bytes) -> bool:
    samples = memoryview(pcm[: len(pcm) // 2 * 2]).cast("h")
    return max(map(abs, samples), default=0) > LOUD


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + STARTUP_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {STARTUP_S:.0f} s in vain until {what}")
        time.sleep(0.02)


@pytest.fixture
def pulse() -> Iterator[PulseServer]:
    """A fresh server for one test. Use it where a test breaks things."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with PulseServer() as server:
        yield server
