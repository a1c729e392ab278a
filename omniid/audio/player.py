"""The speaker: sound in 16-bit mono blocks, silent the moment it is told to be.

PortAudio and the sound server behind it can hang in any call: in the import, in opening, in closing. So all
native calls are made by one thread of their own, and whoever waits for it waits under a deadline. After
`speaker_hung` that thread is lost and the process should go: only a new process gets a working PortAudio.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from omniid.audio import portaudio
from omniid.audio.sinks import sinks, use_sink
from omniid.audio.wav_file import WavFilePlayer
from omniid.errors import AudioError

BLOCK_S = 0.02
HUNG_S = 3.0
OPEN_S = 8.0  # with the import of the sound library, on a slow machine
BUFFER_S = 0.1
NAMED_DEVICES = 5
_BYTES = 2
_T = TypeVar("_T")
_HUNG = "The speaker does not take sound any more: its sound server hangs."


class Player(Protocol):
    """One utterance is `open`, `write` for each block, then `finish` or `abort`. Called from one thread.

    All of them raise AudioError; after one, the player is closed and may be opened again.
    """

    def prepare(self) -> None:
        """Load what takes long. Failing is fine: `open` will say so."""

    def open(self, rate: int) -> str:
        """Ready for `rate` samples a second; returns the device's (or the file's) name."""

    def write(self, block: bytes, stop: threading.Event) -> None:
        """Hand over one block; waits for room, but not once `stop` is set."""

    def finish(self, stop: threading.Event) -> None:
        """Wait until all of it has been heard or `stop` is set, then close."""

    def abort(self) -> None:
        """Silence now; what was handed over and not yet heard is forgotten."""

    def strayed(self) -> AudioError | None:
        """Why what is open is heard elsewhere than it was opened; None: it is not."""


def make_player(output_device: str | None, output_file: str | None) -> Player:
    return WavFilePlayer(Path(output_file)) if output_file else SoundCardPlayer(output_device)


def make_spare(output_device: str | None, output_file: str | None) -> Player | None:
    """The system's own speaker, to stand in for one that was named and is away."""
    return SoundCardPlayer(None) if output_device and not output_file else None


class SoundCardPlayer:
    """A `Player` on PortAudio. `device`: a speaker's name or description; None is the system's own choice."""

    def __init__(self, device: str | None) -> None:
        self._device = device
        self._rate = 0
        self._native = ThreadPoolExecutor(1, thread_name_prefix="speaker")
        self._stream: Any = None
        self._chosen = _Chosen(0, "")

    def prepare(self) -> None:
        # Nobody looks at the outcome: `open` does the same again, and reports.
        self._native.submit(portaudio.load)

    def open(self, rate: int) -> str:
        self._rate = rate
        self._stream, self._chosen = self._call(lambda: _open(self._device, rate), OPEN_S)
        return self._chosen.name

    def write(self, block: bytes, stop: threading.Event) -> None:
        """Asks for room first: a write that blocks could not be interrupted within its buffer's length."""
        deadline = time.monotonic() + HUNG_S
        while (lacking := self._offer(block)) > 0:
            if time.monotonic() > deadline:
                raise self._hung()
            if stop.wait(lacking / self._rate):
                return

    def finish(self, stop: threading.Event) -> None:
        """Writes silence behind the sound: PortAudio's own waiting ends too early on PulseAudio."""
        silence = bytes(_BYTES * round(self._rate * BLOCK_S))
        for _ in range(round((self._stream.latency + BUFFER_S) / BLOCK_S)):
            if not stop.is_set():
                self.write(silence, stop)
        self.abort()

    def abort(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._call(lambda: portaudio.close(stream), HUNG_S)

    def strayed(self) -> AudioError | None:
        """A sound server takes the streams of a speaker that is pulled to another one, without a word."""
        if self._stream is None or self._chosen.sink is None:
            return None
        known = self._call(sinks, HUNG_S)
        if not known or any(sink.name == self._chosen.sink for sink in known):
            return None
        return AudioError(f"The speaker {self._device!r} went away.", code="speaker_lost")

    def _offer(self, block: bytes) -> int:
        """Hand the block over if there is room; else how many samples of room are lacking."""
        stream = self._stream

        def offer() -> int:
            with _lost_speaker():
                lacking = len(block) // _BYTES - int(stream.write_available)
                if lacking <= 0:
                    stream.write(block)
                return lacking

        return self._call(offer, HUNG_S)

    def _call(self, work: Callable[[], _T], seconds: float) -> _T:
        try:
            return self._native.submit(work).result(seconds)
        except TimeoutError as error:
            raise self._hung() from error

    def _hung(self) -> AudioError:
        """The stream is given up unclosed, since closing it would hang as well."""
        self._stream = None
        return AudioError(_HUNG, code="speaker_hung")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """PortAudio's index of a device, its name for people, and the sound server's for it if one was named."""

    index: int
    name: str
    sink: str | None = None


def _open(device: str | None, rate: int) -> tuple[Any, _Chosen]:
    """A running stream, and on what."""
    chosen = _Chosen(0, "")

    def make(sd: Any) -> Any:
        nonlocal chosen
        chosen = _choose(sd, device)
        return sd.RawOutputStream(
            samplerate=rate,
            blocksize=round(rate * BLOCK_S),
            device=chosen.index,
            channels=1,
            dtype="int16",
            latency=BUFFER_S,
        )

    try:
        return portaudio.start(make), chosen
    except AudioError as error:
        if error.code == "no_such_speaker":
            raise
        raise AudioError(error.message, code="no_speaker") from error
    except Exception as error:
        if not _is_portaudios(error):
            raise
        raise AudioError(
            f"No speaker can be opened: connect one or start the sound server ({_first_line(error)}).",
            code="no_speaker",
        ) from error


def _choose(sd: Any, device: str | None) -> _Chosen:
    use_sink(None)
    if device is None:
        default = sd.query_devices(None, "output")
        return _Chosen(int(default["index"]), str(default["name"]))
    wanted = device.casefold()
    listed = [each for each in sd.query_devices() if each["max_output_channels"] > 0]
    outputs = {str(each["name"]): int(each["index"]) for each in listed}
    server_index = outputs.get("pulse", outputs.get("default"))
    known = sinks() if server_index is not None else []
    for sink in known:
        if server_index is not None and wanted in {sink.name.casefold(), sink.description.casefold()}:
            use_sink(sink.name)
            return _Chosen(server_index, sink.description, sink.name)
    for name, index in outputs.items():
        if wanted == name.casefold():
            return _Chosen(index, name)
    names = ", ".join([*(sink.name for sink in known), *outputs][:NAMED_DEVICES]) or "none at all"
    raise AudioError(f"There is no speaker {device!r}; there are: {names}.", code="no_such_speaker")


@contextlib.contextmanager
def _lost_speaker() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not _is_portaudios(error):
            raise
        raise AudioError(f"The speaker went away ({_first_line(error)}).", code="speaker_lost") from error


def _is_portaudios(error: Exception) -> bool:
    """The library is loaded late, so the class of its error has no name here."""
    return type(error).__name__ == "PortAudioError"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
