"""One opening of the microphone.

Everything native happens on the microphone's own thread, because the sound system can hang in any call;
whoever reads the blocks has deadlines and never waits for that thread. PortAudio's callback runs on a
thread of its own and only hands each block over.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Literal

from omniid.audio import portaudio, routes
from omniid.audio.capture import FIRST_BLOCK_S, LOST_AFTER_S
from omniid.audio.convert import Converter
from omniid.audio.frames import BLOCK_S, RATE, Block
from omniid.audio.hand_over import HandOver
from omniid.errors import AudioError

_log = logging.getLogger(__name__)

LISTENING_LOOK_S = 0.2  # how often we see where a sound server has put our stream
RESTING_LOOK_S = 1.0
_ODD_FORMATS = (-9997, -9998)  # PortAudio: invalid sample rate, invalid number of channels

Stage = Literal["new", "opening", "open", "closed"]


class Microphone:
    """`name` is one that `omniid devices` shows; None: the system's default. `keep_s`: sound before `listen`.

    `device` is what people call it, once that is known. `muted`: the sound server says so.
    """

    def __init__(self, name: str | None, keep_s: float = 0.0) -> None:
        self.name = name
        self.keep_s = keep_s
        self.device = name or "default"
        self.muted = False
        self.strayed = False
        self.outdated = False
        self.stage: Stage = "new"
        self._opened_at = 0.0
        self._handed_over = HandOver(keep_s)
        self._listening = False
        self._closing = False
        self._attention = threading.Event()
        self._converter: Converter | None = None
        self._thread = threading.Thread(target=self._live, name="microphone", daemon=True)

    @property
    def overflows(self) -> int:
        return self._handed_over.overflows

    @property
    def has_sounded(self) -> bool:
        """Whether a block has come."""
        return self._handed_over.last_put_at is not None

    def open(self) -> None:
        """Returns at once; what goes wrong is raised by `read`."""
        self._opened_at = time.monotonic()
        self.stage = "opening"
        self._thread.start()

    def is_well(self, now: float) -> bool:
        """Whether blocks come, or may still be expected."""
        if self._handed_over.error is not None or self.strayed:
            return False
        last = self._handed_over.last_put_at
        return now - self._opened_at <= FIRST_BLOCK_S if last is None else now - last <= LOST_AFTER_S

    def listen(self) -> None:
        """Blocks count from now on, and those that were kept."""
        self._listening = True
        self._handed_over.listen(time.monotonic())
        self._attention.set()

    def rest(self) -> None:
        """Nobody listens; stay open and keep the last `keep_s`."""
        self._listening = False
        self._handed_over.rest()

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None when none came in time.

        Raises:
            AudioError: it cannot be opened.
        """
        block = self._handed_over.get(timeout_s)
        if block is None or self._converter is None:
            return block
        converted = self._converter.convert(block.pcm)
        return Block(converted, block.first_sample_at) if converted else None

    def close(self, timeout_s: float) -> bool:
        """False when the system did not let go of the device in time. Twice is no harm."""
        self._closing = True
        self._attention.set()
        if self.stage == "new":
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _live(self) -> None:
        """Open, stay until nobody wants it any more, close: every native call of this microphone."""
        if self._closing:
            self.stage = "closed"
            return
        try:
            stream = self._opened_stream()
        except AudioError as error:
            self.stage = "closed"
            self._handed_over.fail(error)
            return
        try:
            self._follow_route()
        finally:
            portaudio.close(stream)
            self.stage = "closed"

    def _opened_stream(self) -> Any:
        try:
            return portaudio.start(self._make_stream)
        except AudioError as error:
            if error.code == "no_sound_system":
                raise _no_microphone(error.message) from error
            raise
        except Exception as error:
            if (
                type(error).__name__ != "PortAudioError"
            ):  # the library is loaded late, so its class has no name here
                raise
            raise _no_microphone(str(error)) from error

    def _make_stream(self, sd: Any) -> Any:
        index = self._index(sd)
        try:
            return self._stream(sd, index, RATE, 1)
        except sd.PortAudioError as error:
            if error.args[-1] not in _ODD_FORMATS:
                raise
        device = sd.query_devices(index, "input")
        rate, channels = int(device["default_samplerate"]), min(2, int(device["max_input_channels"]))
        _log.info("the microphone gives no 16 kHz mono, taking %d Hz with %d channels", rate, channels)
        self._converter = Converter(rate, channels)
        return self._stream(sd, index, rate, channels)

    def _index(self, sd: Any) -> int | None:
        """PortAudio's number for the wanted device; None is its default."""
        devices = list(sd.query_devices())
        inputs = {index: str(d["name"]) for index, d in enumerate(devices) if d["max_input_channels"] > 0}
        if not inputs:
            raise _no_microphone("the system has no input device")
        routes.choose_default()
        if self.name is None:
            return None
        sources = routes.sources()
        through_server = next((index for index, name in inputs.items() if name == "pulse"), None)
        if routes.choose(self.name, sources):
            return through_server
        found = [index for index, name in inputs.items() if name == self.name] or [
            index for index, name in inputs.items() if self.name.casefold() in name.casefold()
        ]
        if found:
            return found[0]
        known = [*(source.name for source in sources), *inputs.values()]
        raise AudioError(
            f"There is no microphone named {self.name!r} (audio.input_device): connect it, or choose "
            f"another. There are: {', '.join(repr(name) for name in known)}.",
            code="device_not_found",
        )

    def _stream(self, sd: Any, index: int | None, rate: int, channels: int) -> Any:
        return sd.RawInputStream(
            samplerate=rate,
            channels=channels,
            dtype="int16",
            blocksize=int(rate * BLOCK_S),
            device=index,
            callback=self._heard,
        )

    def _heard(self, pcm: Any, _frames: int, times: Any, status: Any) -> None:
        """PortAudio's own thread: copy, hand over, nothing else."""
        if status.input_overflow:
            self._handed_over.overflows += 1
        if self.strayed or self._closing:
            return
        age = times.currentTime - times.inputBufferAdcTime
        # Some host systems leave the times at zero.
        plausible = age if BLOCK_S <= age <= 1.0 else BLOCK_S
        self._handed_over.put(Block(bytes(pcm), time.monotonic() - plausible))

    def _follow_route(self) -> None:
        """Wait for the end, and refuse sound from a source that nobody wanted.

        Such sound is not taken, so that the capture sees the device as lost.
        """
        with routes.Route() as route:
            if route.hears_only_itself:
                self._handed_over.fail(_no_microphone("only the speaker's own sound is left to listen to"))
                return
            self._note(route)
            self.stage = "open"
            self._handed_over.allow()
            while not self._closing:
                self._attention.clear()
                if not self._closing:
                    self._attention.wait(LISTENING_LOOK_S if self._listening else RESTING_LOOK_S)
                if not self._closing:
                    route.look()
                    self._note(route)

    def _note(self, route: routes.Route) -> None:
        self.device = route.source or self.device
        self.muted, self.outdated = route.muted, route.outdated
        if route.strayed and not self.strayed:
            _log.warning("the microphone has gone and the sound server chose another: not listening to it")
            self.strayed = True


def _no_microphone(why: str) -> AudioError:
    return AudioError(
        f"No microphone can be opened ({why.rstrip('.')}): connect one, or choose one with "
        "audio.input_device; `omniid devices` names them.",
        code="no_microphone",
    )
