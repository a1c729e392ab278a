"""The microphone: opened for one take, closed at its end.

Everything native happens on the microphone's own thread, because the sound system can hang in any call;
the capture that reads the blocks has deadlines and never waits for that thread. PortAudio's callback runs
on a thread of its own and only hands each block over.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any

from omniid.audio import routes
from omniid.audio.convert import Converter
from omniid.audio.frames import BLOCK_S, RATE, Block
from omniid.errors import AudioError

_log = logging.getLogger(__name__)

# Ten seconds of blocks: the reader is only ever that late when the machine is in deep trouble.
HAND_OVER_BLOCKS = 500
ROUTE_CHECK_S = 0.2
_ODD_FORMATS = (-9997, -9998)  # PortAudio: invalid sample rate, invalid number of channels


def load_library() -> Any:
    """The sound library, ready for use. The first call is slow, and hangs if the sound server hangs.

    Raises:
        AudioError: PortAudio is not installed (`no_audio_library`) or does not start (`no_microphone`).
    """
    try:
        import sounddevice  # noqa: PLC0415 - it starts the sound system, which may be absent or hang
    except OSError as error:
        raise AudioError(
            "The sound library PortAudio is missing: install it (Debian, Ubuntu: apt install libportaudio2; "
            "Fedora: dnf install portaudio; macOS: brew install portaudio).",
            code="no_audio_library",
        ) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # the class belongs to the module that failed to load
            raise
        raise _no_microphone(f"the sound system does not start: {error}") from error
    return sounddevice


class Microphone:
    """One opening of the microphone. `name`: what `omniid doctor` shows; None is the system's default."""

    is_real = True
    file_ended = False
    is_ahead = False

    def __init__(self, name: str | None) -> None:
        self.device = name or "default"
        self.overflows = 0
        self._name = name
        self._handed_over: queue.SimpleQueue[Block | AudioError] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._strayed = False
        self._converter: Converter | None = None
        self._thread = threading.Thread(target=self._live, name="microphone", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def read(self, timeout_s: float) -> Block | None:
        try:
            item = self._handed_over.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, AudioError):
            raise item
        if self._converter is not None:
            return Block(self._converter.convert(item.pcm), item.first_sample_at)
        return item

    def close(self, timeout_s: float) -> bool:
        self._closing.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _live(self) -> None:
        """Open, stay until the take is over, close: every native call of this microphone."""
        try:
            if self._name is None and routes.hears_only_itself():
                raise _no_microphone("only the speaker's own sound is left to listen to")
            stream = self._opened_stream(load_library())
        except AudioError as error:
            self._handed_over.put(error)
            return
        try:
            self._follow_route()
        finally:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)

    def _opened_stream(self, sd: Any) -> Any:
        """A started stream. PortAudio only learns of devices that came later when it is started anew."""
        try:
            return self._start_stream(sd, self._index(sd))
        except (sd.PortAudioError, AudioError) as error:
            _log.info("the microphone does not open, trying once more with a fresh PortAudio: %s", error)
        try:
            sd._terminate()  # noqa: SLF001 - the documented way to look for devices again
        except sd.PortAudioError as error:
            _log.debug("PortAudio was not running: %s", error)
        try:
            sd._initialize()  # noqa: SLF001
            return self._start_stream(sd, self._index(sd))
        except sd.PortAudioError as error:
            raise _no_microphone(str(error)) from error

    def _index(self, sd: Any) -> int | None:
        """PortAudio's number for the wanted device; None is its default."""
        devices = list(sd.query_devices())
        inputs = {index: str(d["name"]) for index, d in enumerate(devices) if d["max_input_channels"] > 0}
        if not inputs:
            raise _no_microphone("the system has no input device")
        if self._name is None:
            return None
        found = [index for index, name in inputs.items() if name == self._name] or [
            index for index, name in inputs.items() if self._name.casefold() in name.casefold()
        ]
        if found:
            return found[0]
        sources = routes.sources()
        if routes.choose(self._name, sources):
            return next((index for index, name in inputs.items() if name == "pulse"), None)
        known = [*(source.name for source in sources), *inputs.values()]
        raise AudioError(
            f"There is no microphone named {self._name!r} (audio.input_device). "
            f"There are: {', '.join(repr(name) for name in known)}.",
            code="device_not_found",
        )

    def _start_stream(self, sd: Any, index: int | None) -> Any:
        try:
            return self._start_stream_as(sd, index, RATE, 1)
        except sd.PortAudioError as error:
            if error.args[-1] not in _ODD_FORMATS:
                raise
        device = sd.query_devices(index, "input")
        rate, channels = int(device["default_samplerate"]), min(2, int(device["max_input_channels"]))
        _log.info("the microphone gives no 16 kHz mono, taking %d Hz with %d channels", rate, channels)
        self._converter = Converter(rate, channels)
        return self._start_stream_as(sd, index, rate, channels)

    def _start_stream_as(self, sd: Any, index: int | None, rate: int, channels: int) -> Any:
        stream = sd.RawInputStream(
            samplerate=rate,
            channels=channels,
            dtype="int16",
            blocksize=int(rate * BLOCK_S),
            device=index,
            callback=self._heard,
        )
        try:
            stream.start()
        except sd.PortAudioError:
            stream.close(ignore_errors=True)
            raise
        return stream

    def _heard(self, pcm: Any, _frames: int, times: Any, status: Any) -> None:
        """PortAudio's own thread: copy, hand over, nothing else."""
        if status.input_overflow or self._handed_over.qsize() >= HAND_OVER_BLOCKS:
            self.overflows += 1
        if self._strayed or self._handed_over.qsize() >= HAND_OVER_BLOCKS:
            return
        age = times.currentTime - times.inputBufferAdcTime
        # Some host systems leave the times at zero.
        plausible = age if BLOCK_S <= age <= 1.0 else BLOCK_S
        self._handed_over.put(Block(bytes(pcm), time.monotonic() - plausible))

    def _follow_route(self) -> None:
        """Wait for the end, and refuse sound from any source but the one we began with.

        When a device is pulled, a sound server moves the stream to whatever is left, omniid's own voice
        among it. Such sound is not taken, so that the capture sees the device as lost.
        """
        with routes.Route() as route:
            if route.source is not None:
                self.device = route.source
            while not self._closing.wait(ROUTE_CHECK_S):
                if not self._strayed and route.has_strayed():
                    _log.warning(
                        "the microphone has gone and the sound server chose another: not listening to it"
                    )
                    self._strayed = True


def _no_microphone(why: str) -> AudioError:
    return AudioError(
        f"No microphone can be opened ({why}): connect one, or choose one with audio.input_device; "
        "`omniid doctor` names them.",
        code="no_microphone",
    )
